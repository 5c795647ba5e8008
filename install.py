"""Install this package with pip, editable and with EXTRAS, and show the progress in short lines.

    python install.py EXTRAS

make calls it.
"""

import subprocess
import sys
from collections import deque
from pathlib import Path

from mbrl_ros.console.progress import Progress

SHOWN = ("Collecting ", "Downloading ", "Using cached ", "Building ", "Installing ", "Successfully ")
WIDTH = 70  # characters of pip's lines


def install(extras: str) -> int:
    """Install; return the exit code of pip."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "pip",
        "install",
        "--progress-bar",
        "off",
        "--editable",
        f".[{extras}]",
    ]
    print(f"install: mbrl_ros[{extras}] into {Path(sys.prefix).name}", flush=True)
    last: deque[str] = deque(maxlen=20)
    with (
        Progress("install") as shown,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip,
    ):
        for line in pip.stdout or ():
            last.append(line)
            if line.strip().startswith(SHOWN):
                shown.show(" ".join(line.split())[:WIDTH])
    if pip.returncode:
        print("".join(last), f"install: pip ended with code {pip.returncode}", sep="", file=sys.stderr)
        return pip.returncode
    mbrl = Path(sys.prefix, "bin", "mbrl")
    size = sum(path.lstat().st_size for path in Path(sys.prefix).rglob("*") if path.is_file())
    print(
        f"install: done, {size / 1e9:.1f} GB in {Path(sys.prefix).name}; next: "
        f"{mbrl.relative_to(Path.cwd()) if mbrl.is_relative_to(Path.cwd()) else mbrl} demo",
        flush=True,
    )
    return 0


if __name__ == "__main__":
    sys.exit(install(sys.argv[1]))
