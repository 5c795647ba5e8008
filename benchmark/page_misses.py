"""What a page that is open costs the control loop: python benchmark/page_misses.py [RUNS] [SECONDS].

The demo in real time, without a page and with one that a client reads, one after the other: the client takes everything
that a browser takes, but draws nothing, as a browser on another machine would not on this one. Prints what share of the
ticks was missed or late in each.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import viser
from websockets.sync.client import connect

ADDRESS = re.compile(r"watch it: http://localhost:(\d+)")


def read_page(port: str, received: list[int]) -> None:
    """Take what the page sends until it ends; the bytes are added to `received`."""
    protocol = f"viser-v{viser.__version__}"
    with connect(f"ws://localhost:{port}", subprotocols=[protocol], max_size=None, open_timeout=60.0) as page:
        for message in page:
            received[0] += len(message)


def run(page: bool, seconds: float, folder: Path) -> dict[str, float]:
    """Run the demo once; return ticks, missed, late, and the MB that the page sent."""
    options = ["--realtime", "--duration", f"{seconds:g}", "--output", str(folder), *([] if page else ["--no-view"])]
    command = [sys.executable, "-m", "mbrl_ros.cli.main", "demo", *options]
    environment = {**os.environ, "BROWSER": "true"}
    environment.pop("CI", None)
    received = [0]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as demo:
        for line in demo.stdout or ():
            if page and (found := ADDRESS.search(line)):
                threading.Thread(target=read_page, args=(found[1], received), daemon=True).start()
    ticks = json.loads((folder / "summary.json").read_text())["ticks"]
    counted = {key: ticks[key] for key in ("count", "missed", "late")}
    return {**counted, "MB": received[0] / 1e6, "code": demo.returncode}


def main() -> None:
    """Run both, RUNS times each."""
    runs, seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 3, float(sys.argv[2]) if len(sys.argv) > 2 else 20.0
    for number in range(runs):
        for page in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                print(
                    json.dumps({"run": number, "page": page, **run(page, seconds, Path(folder) / "demo")}), flush=True
                )


if __name__ == "__main__":
    main()
