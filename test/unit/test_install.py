"""install.py takes a robot out of the wheel of example-robot-data, and reads no more of it than it must."""

import json
import shutil
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from support import scripts

INSIDE = "pack-1.0.data/data/share/example-robot-data/robots"
FILES = {"arm_description/urdf/arm.urdf": b"<robot name='arm'/>", "arm_description/meshes/link.stl": b"solid " * 2000}


@pytest.fixture
def install(monkeypatch):
    """The module install.py."""
    module = scripts.load("install.py", monkeypatch)
    monkeypatch.setattr(module, "BLOCK", 8192)
    monkeypatch.setattr(module.metadata, "distributions", lambda name: [])
    return module


@pytest.fixture
def served(tmp_path, install, monkeypatch):
    """served(ranges) -> the wheel, on a server with or without ranges of bytes that pip is made to name."""
    wheel = tmp_path / "pack-1.0-py3-none-any.whl"
    noise = np.random.default_rng(0).bytes(1 << 20)
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{INSIDE}/aaa_description/meshes/noise.stl", noise)
        for name, content in FILES.items():
            archive.writestr(f"{INSIDE}/{name}", content)
        archive.writestr(f"{INSIDE}/arm_description_more/urdf/other.urdf", b"another robot")
        archive.writestr(f"{INSIDE}/zzz_description/meshes/noise.stl", noise)
    servers = []

    def serve(ranges):
        content = wheel.read_bytes()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                first, last = (int(x) for x in self.headers["Range"].removeprefix("bytes=").split("-"))
                part = content[first : last + 1] if ranges else content
                self.send_response(206 if ranges else 200)
                self.send_header("Content-Length", str(len(part)))
                if ranges:
                    self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
                self.end_headers()
                self.wfile.write(part)

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{wheel.name}"

        def pip(command, check):
            if "--report" in command:
                entry = {"download_info": {"url": url}}
                Path(command[command.index("--report") + 1]).write_text(json.dumps({"install": [entry]}))
            else:
                shutil.copy(wheel, command[command.index("--dest") + 1])

        monkeypatch.setattr(install.subprocess, "run", pip)
        return wheel

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("ranges", (True, False))
def test_of_the_wheel_only_the_robot_arrives(install, served, tmp_path, ranges):
    wheel = served(ranges)
    received = install.fetch(["arm"], tmp_path / "there")
    assert contents(tmp_path / "there" / "robots") == FILES
    assert received < 100_000 if ranges else received == wheel.stat().st_size > 2_000_000


@pytest.mark.parametrize("robot, damaged", [("leg", False), ("arm", True)])
def test_what_cannot_be_had_leaves_nothing_behind(install, served, tmp_path, monkeypatch, capsys, robot, damaged):
    served(True)
    monkeypatch.setattr(install.sys, "prefix", str(tmp_path))

    def read(archive, name):
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {name}")

    if damaged:
        monkeypatch.setattr(install.zipfile.ZipFile, "read", read)
    assert install.add_robots([robot]) == 1
    assert robot in capsys.readouterr().err and not contents(tmp_path / "share")


def test_what_is_there_is_not_fetched_again(install, served, tmp_path, monkeypatch):
    served(True)
    monkeypatch.setattr(install.sys, "prefix", str(tmp_path))
    assert install.add_robots(["arm"]) == 0 and install.add_robots([]) == 0
    monkeypatch.setattr(install, "fetch", lambda *_: pytest.fail("fetched again"))
    assert install.add_robots(["arm"]) == 0
    monkeypatch.setattr(install.metadata, "distributions", lambda name: [name])
    assert install.add_robots(["leg"]) == 0  # the whole package is installed
