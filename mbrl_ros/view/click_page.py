"""A page in the browser that shows the newest image and says where it is clicked.

Served by Python's own HTTP server, without anything of a network. A click moves an arm, so that only this page may send
one: it holds a token that its requests must bring (another site's page in the same browser does not know it), and a
request must be addressed to this computer by the name that the page is served under (no other name may be made to point
here).
"""

from __future__ import annotations

import hmac
import html
import json
import math
import secrets
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ..exceptions import ConfigurationError

PORTS = 20  # tried, from the first on
END_POLL = 0.05  # [s] between two looks whether the page is to be closed
IMAGE_WAIT = 2.0  # [s] that a request waits for an image newer than the last
LONGEST_CLICK = 1000  # bytes of a request
LOCAL = ("127.0.0.1", "localhost")
TOKEN = "X-Token"
PAGE = """<!doctype html><html><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 14px sans-serif; margin: 1em; background: #fafafa }} #image {{ cursor: crosshair; max-width: 100% }}
</style></head><body><h3>{title}</h3><img id="image" alt="no image yet">
<p id="answer">Click where the points are to go.</p>
<pre id="state"></pre><script>
const token = "{token}", image = document.getElementById("image");
function next() {{ image.src = "/image.jpg?" + Date.now(); }}
image.onload = next;
image.onerror = () => setTimeout(next, 1000);
image.onclick = async (event) => {{
  const at = image.getBoundingClientRect();
  const body = JSON.stringify({{x: (event.clientX - at.left) / at.width, y: (event.clientY - at.top) / at.height}});
  const answer = await fetch("/click", {{method: "POST", headers: {{"{header}": token}}, body: body}});
  document.getElementById("answer").textContent = await answer.text();
}};
setInterval(async () => {{
  document.getElementById("state").textContent = await (await fetch("/state")).text();
}}, 500);
next();
</script></body></html>"""


class ClickPage:
    """Serves the page on `host` from the first free port from `port` on; `url` is its address.

    clicked(x, y), called in a thread of the server with the place in shares of the image's width and height, returns
    (whether it is done, what to say).
    """

    def __init__(self, title: str, clicked: Callable[[float, float], tuple[bool, str]], host: str, port: int):
        self._clicked, self._title = clicked, title
        self._token = secrets.token_urlsafe(16)
        self._fresh = threading.Condition()
        self._image, self._number, self._wanted = b"", 0, False
        self.state = ""
        self._server = self._bind(host, port)
        self._hosts = LOCAL if host in LOCAL else None
        self.url = f"http://{'localhost' if host in (*LOCAL, '0.0.0.0') else host}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(END_POLL,), name="page", daemon=True)
        self._thread.start()

    @property
    def wanted(self) -> bool:
        """Whether a browser waits for an image."""
        return self._wanted

    def show(self, jpeg: bytes) -> None:
        """Show an image."""
        with self._fresh:
            self._image, self._number, self._wanted = jpeg, self._number + 1, False
            self._fresh.notify_all()

    def close(self) -> None:
        """Stop to serve."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _bind(self, host: str, port: int) -> ThreadingHTTPServer:
        page = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10.0  # [s] a browser that says nothing is not waited for

            def do_GET(self) -> None:
                page.get(self)

            def do_POST(self) -> None:
                page.post(self)

            def log_message(self, *_: Any) -> None:
                """Say nothing of each request."""

        for at in range(port, port + PORTS):
            try:
                server = ThreadingHTTPServer((host, at), Handler)
            except OSError as error:
                problem = error
            else:
                server.daemon_threads = True
                return server
        raise ConfigurationError(
            f"no page can be served on {host} from port {port} on: {problem}", key="page_port", value=port
        )

    # --- requests, each in a thread of its own ------------------------------------------------------------------------

    def get(self, request: BaseHTTPRequestHandler) -> None:
        """Answer with the page, the newest image or the state in words."""
        path = request.path.partition("?")[0]
        if not self._is_addressed(request):
            _answer(request, 403, "text/plain", b"this page is served under another name")
        elif path == "/":
            text = PAGE.format(title=html.escape(self._title), token=self._token, header=TOKEN)
            _answer(request, 200, "text/html; charset=utf-8", text.encode())
        elif path == "/state":
            _answer(request, 200, "text/plain; charset=utf-8", self.state.encode())
        elif path == "/image.jpg":
            image = self._next_image()
            if image:
                _answer(request, 200, "image/jpeg", image)
            else:
                _answer(request, 503, "text/plain", b"no image has come")
        else:
            _answer(request, 404, "text/plain", b"there is no such page")

    def post(self, request: BaseHTTPRequestHandler) -> None:
        """Take a click."""
        token = request.headers.get(TOKEN, "")
        if not self._is_addressed(request) or not hmac.compare_digest(token.encode(), self._token.encode()):
            _answer(request, 403, "text/plain", b"only the page itself may send clicks")
            return
        try:
            size = int(request.headers.get("Content-Length", ""))
            if request.path != "/click" or not 0 <= size <= LONGEST_CLICK:
                raise ValueError("no click")
            place = json.loads(request.rfile.read(size))
            x, y = (float(place[name]) for name in "xy")
            if not (math.isfinite(x) and math.isfinite(y) and 0.0 <= x <= 1.0 and 0.0 <= y <= 1.0):
                raise ValueError("it lies outside the image")
        except (ValueError, TypeError, KeyError) as error:
            _answer(request, 400, "text/plain", f"this is no click: {error}".encode())
            return
        done, said = self._clicked(x, y)
        _answer(request, 200 if done else 409, "text/plain; charset=utf-8", said.encode())

    def _next_image(self) -> bytes:
        with self._fresh:
            before, self._wanted = self._number, True
            self._fresh.wait_for(lambda: self._number > before, IMAGE_WAIT)
            return self._image

    def _is_addressed(self, request: BaseHTTPRequestHandler) -> bool:
        host = request.headers.get("Host", "").rpartition(":")[0]
        return self._hosts is None or host in self._hosts


def _answer(request: BaseHTTPRequestHandler, code: int, kind: str, body: bytes) -> None:
    try:
        request.send_response(code)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.send_header("Cache-Control", "no-store")
        request.end_headers()
        request.wfile.write(body)
    except OSError:  # the browser has left
        request.close_connection = True
