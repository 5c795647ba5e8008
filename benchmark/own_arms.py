"""An arm from its URDF to its demo in MuJoCo, for arms nobody tuned for: python benchmark/own_arms.py [ARM ...].

For each arm the two commands of doc/own_robot.md that make it move, as a shell takes them, in an empty folder. The file
that `mbrl init` writes is taken as it is: nothing is written by hand.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ARMS = ("ur3_robot", "ur5", "ur10", "kinova", "z1", "so100", "xarm7", "tiago_no_hand", "talos_left_arm", "baxter")
SECONDS = 8.0  # simulated: one target before and one after the payload


def commands(arm: str) -> list[str]:
    """Return what a user types, in the order of the page."""
    return [
        f"mbrl init --urdf package-data:{arm} --interface effort -o {arm}.yaml",
        f"mbrl demo --robot {arm}.yaml --headless --lockstep --duration {SECONDS:g} --output {arm}",
    ]


def tried(arm: str, folder: Path) -> dict[str, Any]:
    """Run the commands in `folder` until one fails; their exit codes, and what the demo says of its targets."""
    codes, said = [], ""
    for command in commands(arm):
        run = [sys.executable, "-m", "mbrl_ros.cli.main", *shlex.split(command)[1:]]
        done = subprocess.run(run, cwd=folder, capture_output=True, text=True)
        codes.append(done.returncode)
        if done.returncode != 0:
            said = (done.stdout + done.stderr)[-500:]
            break
    summary = folder / arm / "summary.json"
    targets = json.loads(summary.read_text())["targets"] if summary.is_file() else []
    reached = sum(target["time_to_1cm_s"] is not None for target in targets)
    rest = [target["rest_error_mm"] for target in targets if target["rest_error_mm"] is not None]
    return {"arm": arm, "codes": codes, "targets": len(targets), "reached": reached, "rest_mm": rest, "said": said}


def main() -> None:
    """Try the arms, one a line."""
    for arm in sys.argv[1:] or ARMS:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(tried(arm, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
