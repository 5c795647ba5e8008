"""Install this package with pip, editable and with EXTRAS, and show the progress in short lines.

    python install.py EXTRAS [ROBOT ...]

make calls it. ROBOT is a folder of the PyPI package example-robot-data, without `_description`: where that package
is not installed, the robot's files alone are taken out of its wheel into share/example-robot-data of the environment,
where `package-data:ROBOT` finds them. A wheel is a zip, which is read in parts: its list of files, then those files.
"""

import http.client
import io
import json
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections import deque
from importlib import metadata
from pathlib import Path, PurePosixPath

from mbrl_ros.console.progress import Progress

SHOWN = ("Collecting ", "Downloading ", "Using cached ", "Building ", "Installing ", "Successfully ")
DATA = "example-robot-data"  # as in mbrl_ros/robots/sources.py, which numpy must be installed for
WIDTH = 70  # characters of pip's lines
PIP = (sys.executable, "-W", "ignore", "-m", "pip")
BLOCK = 1 << 20  # [bytes] of one request; a robot's files stand side by side in the wheel
TIMEOUT = 60.0  # [s] of one request


def install(extras: str) -> int:
    """Install; return the exit code of pip."""
    # Python compiles what is imported when it first is; compiling all of it is slow, and a tenth of the size.
    command = [*PIP, "install", "--no-compile", "--progress-bar", "off", "--editable", f".[{extras}]"]
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


class Ranges(io.RawIOBase):
    """A file on a web server, read in ranges of bytes; OSError where the server has no ranges.

    `received` counts the bytes [B] that came.
    """

    def __init__(self, url: str):
        self._url, self._at, self.received = url, 0, 0
        with self._request(0, 0) as answer:
            self.size = int(answer.headers["Content-Range"].rpartition("/")[2])

    def _request(self, first: int, last: int):
        """Ask for the bytes from `first` to `last`, both included."""
        request = urllib.request.Request(self._url, headers={"Range": f"bytes={first}-{last}"})
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
        if getattr(answer, "status", None) != 206 or not answer.headers.get("Content-Range", "").rpartition("/")[2]:
            answer.close()
            raise OSError("the server sends whole files only")
        return answer

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to `offset` [B] from the begin, from here or from the end; return the place."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        return self._at

    def readinto(self, buffer) -> int:
        """Fill `buffer` from here on; return the number of bytes, 0 at the end."""
        last = min(self._at + len(buffer), self.size) - 1
        if last < self._at:
            return 0
        with self._request(self._at, last) as answer:
            content = answer.read(len(buffer))
        if len(content) != last + 1 - self._at:
            raise OSError(f"{len(content)} of {last + 1 - self._at} bytes came")
        buffer[: len(content)] = content
        self._at += len(content)
        self.received += len(content)
        return len(content)


def unpack(wheel: zipfile.ZipFile, robots: list[str], folder: Path) -> None:
    """Write the files of `robots` in the wheel of example-robot-data to folder/robots/ROBOT_description.

    Raises KeyError for a robot that is not in the wheel; nothing of it is left then.
    """
    begin = f"share/{DATA}/"
    files = {name.partition(begin)[2]: name for name in wheel.namelist() if begin in name and not name.endswith("/")}
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        for robot in robots:
            place = f"robots/{robot}_description"
            inside = [name for name in files if PurePosixPath(name).is_relative_to(place) and ".." not in name]
            if not inside:
                raise KeyError(f"{DATA} has no robot '{robot}'")
            for name in inside:
                target = Path(work, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(wheel.read(files[name]))  # compares the checksum of the zip
            (folder / "robots").mkdir(exist_ok=True)
            shutil.move(Path(work, place), folder / place)


def fetch(robots: list[str], folder: Path) -> int:
    """Take the files of `robots` out of the newest wheel of example-robot-data; return the bytes [B] that came for it.

    Where the server of the index has no ranges, the whole wheel is downloaded.
    """
    with tempfile.TemporaryDirectory() as work:
        report = Path(work, "report.json")
        asked = ("--dry-run", "--ignore-installed", "--report", str(report))
        common = ("--quiet", "--no-deps", "--only-binary", ":all:")
        subprocess.run([*PIP, "install", *common, *asked, DATA], check=True)
        url = json.loads(report.read_text(encoding="utf-8"))["install"][0]["download_info"]["url"]
        try:
            ranges = Ranges(url)
            with io.BufferedReader(ranges, BLOCK) as stream, zipfile.ZipFile(stream) as wheel:
                unpack(wheel, robots, folder)
            return ranges.received
        except (OSError, ValueError, http.client.HTTPException, zipfile.BadZipFile) as error:
            print(f"install: the whole of {DATA} is downloaded: {error}", flush=True)
        subprocess.run([*PIP, "download", *common, "--dest", work, DATA], check=True)
        file = next(Path(work).glob("*.whl"))
        with zipfile.ZipFile(file) as wheel:
            unpack(wheel, robots, folder)
        return file.stat().st_size


def add_robots(robots: list[str]) -> int:
    """Fetch those of `robots` that `package-data:` lacks; return the exit code."""
    folder = Path(sys.prefix, "share", DATA)
    missing = [robot for robot in robots if not (folder / "robots" / f"{robot}_description").is_dir()]
    if not missing or any(metadata.distributions(name=DATA)):
        return 0
    try:
        with Progress("install") as shown:
            shown.show(f"{', '.join(missing)} of {DATA}")
            received = fetch(missing, folder)
    except (subprocess.CalledProcessError, OSError, KeyError, zipfile.BadZipFile) as error:
        print(f"install: {', '.join(missing)} of {DATA} cannot be had: {error}", file=sys.stderr)
        return 1
    print(f"install: {', '.join(missing)} of {DATA}, {received / 1e6:.1f} MB received", flush=True)
    return 0


def main(extras: str, *robots: str) -> int:
    """Install the package and the files of `robots`, and say what to type next; return the exit code."""
    code = install(extras) or add_robots(list(robots))
    if code:
        return code
    mbrl = Path(sys.prefix, "bin", "mbrl")
    size = sum(path.lstat().st_size for path in Path(sys.prefix).rglob("*") if path.is_file())
    print(
        f"install: done, {size / 1e9:.1f} GB in {Path(sys.prefix).name}; next: "
        f"{mbrl.relative_to(Path.cwd()) if mbrl.is_relative_to(Path.cwd()) else mbrl} demo",
        flush=True,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
