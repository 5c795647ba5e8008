"""Transcripts of what goes wrong when a robot is launched, made with the real `ros2 launch` and written into a page.

    PYTHONPATH=test python -m support.transcripts --update doc/launch_accidents.md     all of them, into the page
    PYTHONPATH=test python -m support.transcripts [NAME ...]                           only printed

A ROS 2 with launch and ros2_control must be sourced. Every accident runs in a new folder that holds the files of the
robot; times, process ids and what depends on the machine are left out of the transcripts. test_launch_transcripts.py
runs them again and compares their exit codes and key lines with the page.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from support.accidents import ACCIDENTS, Accident
from support.domains import new_domain
from support.ros import Peer

PATIENCE = 90.0  # [s]
BEGIN, END = "<!-- transcripts: begin -->", "<!-- transcripts: end -->"
DROPPED = re.compile(r"All log files can be found|Default logging verbosity|nanobind|leaked|Extension modules")
NORMAL = (
    (re.compile(r" \[\d{10}\.\d{9}\]"), ""),
    (re.compile(r"pid (\[\d+\]|\d+)"), "pid ..."),
    (re.compile(r"_ros2cli_\d+"), "_ros2cli_..."),
    (re.compile(r"cmd '[^']*'"), "cmd '...'"),
    (re.compile(r"/tmp/launch_params_\w+"), "..."),
    (re.compile(r"\d{10}\.\d+"), "..."),
)


class Terminal:
    """`ros2 launch` in a folder; further commands can be typed beside it, and everything said is kept in its order."""

    def __init__(self, folder: Path, accident: Accident):
        self.folder, self.domain = folder, new_domain()
        self.lines: list[str] = []
        self.environment = {**os.environ, "ROS_DOMAIN_ID": str(self.domain), "PYTHONUNBUFFERED": "1"}
        command = ["ros2", "launch", *accident.command]
        self.say(f"$ {shlex.join(command)}")
        self._launch = self._start(command)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._peer: Peer | None = None

    @property
    def said(self) -> str:
        """What was typed and said so far."""
        return "\n".join(self.lines)

    @property
    def peer(self) -> Peer:
        """A node of the robot's driver."""
        if self._peer is None:
            self._peer = Peer(self.domain)
        return self._peer

    def say(self, line: str) -> None:
        """Keep a line, without what depends on the machine."""
        line = line.rstrip().replace(f"{self.folder.resolve()}/", "").replace(f"{self.folder}/", "")
        for pattern, text in NORMAL:
            line = pattern.sub(text, line)
        if not DROPPED.search(line):
            self.lines.append(line)

    def until(self, words: str) -> None:
        """Wait until the launch has said something."""
        self.wait(lambda: words in self.said, words)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until a condition holds."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"'{what}' never came; said:\n{self.said}")
            if self._peer is not None:
                self._peer.spin()
            time.sleep(0.02)

    def kill(self, node: str) -> None:
        """Type `kill -9` for a node of this launch."""
        self.say(f"$ kill -9 $(pgrep {node})    # in another terminal")
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                ours = f"ROS_DOMAIN_ID={self.domain}\0".encode() in path.read_bytes()
                command = path.with_name("cmdline").read_bytes().decode()
            except OSError:
                continue
            if ours and f"__node:={node}\0" in command:
                os.kill(int(path.parent.name), signal.SIGKILL)

    def type(self, *command: str) -> None:
        """Type a command in another terminal and keep what it says."""
        self.say(f"$ {shlex.join(command)}    # in another terminal")
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=PATIENCE)
        for line in (done.stdout + done.stderr).splitlines():
            self.say(line)

    def close(self) -> int:
        """End the launch with Ctrl-C, where it has not ended; return its exit code."""
        if self._launch.poll() is None:
            self.say("^C")
            os.killpg(self._launch.pid, signal.SIGINT)
        code = self._launch.wait(PATIENCE)
        self._reader.join(PATIENCE)
        if self._peer is not None:
            self._peer.close()
        self.say("$ echo $?")
        self.say(str(code))
        return code

    def ended(self) -> bool:
        """Whether the launch has ended."""
        return self._launch.poll() is not None

    def abandon(self) -> None:
        """Kill what is left."""
        if self._launch.poll() is None:
            os.killpg(self._launch.pid, signal.SIGKILL)

    def _start(self, command: list[str]) -> subprocess.Popen:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environment,
            start_new_session=True,  # a terminal sends Ctrl-C to the whole group
        )

    def _read(self) -> None:
        for line in self._launch.stdout:
            self.say(line)


def play(accident: Accident, folder: Path) -> tuple[int, str]:
    """Let an accident happen; return the exit code of the launch and the transcript."""
    for name, text in accident.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    terminal = Terminal(folder, accident)
    try:
        if accident.act is None:
            terminal.wait(terminal.ended, "the end of the launch")
        else:
            accident.act(terminal)
        code = terminal.close()
    finally:
        terminal.abandon()
    return code, terminal.said


def transcribed(name: str) -> str:
    """The section of the page for an accident."""
    accident = ACCIDENTS[name]
    with tempfile.TemporaryDirectory() as folder:
        code, said = play(accident, Path(folder))
    missing = [words for words in accident.key if words not in said]
    if code != accident.code or missing:
        raise SystemExit(f"{name}: exit code {code}, expected {accident.code}; not said: {missing}\n{said}")
    return f"## {name}\n\n{accident.about}\n\n```\n{said}\n```\n"


def main() -> None:
    """Print the transcripts, or write them into a page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="accidents (default: all)")
    parser.add_argument("--update", type=Path, metavar="PAGE", help="write all of them into this page")
    args = parser.parse_args()
    sections = []
    for name in args.names or ACCIDENTS:
        sections.append(transcribed(name))
        print(sections[-1], flush=True)
    if args.update:
        before, _, rest = args.update.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        body = "\n".join(sections)
        args.update.write_text(f"{before}{BEGIN}\n\n{body}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
