"""The shipped launch files, started by the real launch system where there is one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from support.needs import present
from support.robots import planar_arm

if present("launch_pytest", "launch_ros"):
    import launch_pytest
    from launch import LaunchDescription
    from launch.actions import IncludeLaunchDescription, RegisterEventHandler
    from launch.event_handlers import OnProcessExit

# The decorator of a fixture that starts the launch description it returns. One such fixture a module: the fixtures of
# launch_pytest that stand behind it (the launch service and its event loop) are those of the module too.
launched = launch_pytest.fixture if present("launch_pytest") else pytest.fixture

JOINTS = ["joint1", "joint2"]
START = [0.3, -0.4]  # [rad]
PERIOD = 0.01  # [s]


def planar_parameters(folder: Path) -> str:
    """A parameter file in `folder`: a robot of two joints for mpc_node and sim_node, in whatever namespace they are."""
    blocks = {
        "/**": {"robot_description": planar_arm(2), "robot": {"joints": JOINTS, "interface": "effort"}},
        "/**/mpc_node": {"control": {"rate": 1.0 / PERIOD}, "supervisor": {"blind_effort": "zero"}},
        "/**/sim_node": {"plant": {"rate": 1.0 / PERIOD, "initial_position": START}},
    }
    path = folder / "planar.yaml"
    path.write_text(yaml.safe_dump({name: {"ros__parameters": block} for name, block in blocks.items()}))
    return str(path)


def launch_file(name: str) -> Path:
    """A shipped launch file, as installed."""
    from ament_index_python.packages import get_package_share_directory

    return Path(get_package_share_directory("mbrl_ros"), "launch", name)


def shipped(name: str, exits: dict, **arguments: str) -> LaunchDescription:
    """A launch file of this package with its arguments; `exits` is told {process: exit code}."""
    return LaunchDescription(
        [
            RegisterEventHandler(
                OnProcessExit(
                    on_exit=lambda event, context: exits.__setitem__(event.process_name.split("-")[0], event.returncode)
                )
            ),
            IncludeLaunchDescription(str(launch_file(name)), launch_arguments=arguments.items()),
            launch_pytest.actions.ReadyToTest(),
        ]
    )


_LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
service = LaunchService(noninteractive=True)
arguments = [argument.split(":=", 1) for argument in sys.argv[2:]]
service.include_launch_description(
    LaunchDescription([IncludeLaunchDescription(sys.argv[1], launch_arguments=arguments)]))
sys.exit(service.run())
"""
PATIENCE = 60.0  # [s] after which a launch that does not end, or does not say what is expected, has failed


class Launched:
    """A launch file that runs in a launch system of its own, a process that may fail, be killed or be stopped."""

    def __init__(self, path: Path, domain: int, **arguments: object):
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, str(path), *(f"{name}:={value}" for name, value in arguments.items())],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "ROS_DOMAIN_ID": str(domain)},
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=lambda: self._lines.extend(self._process.stdout), daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        """What the launch system and its processes have said so far."""
        return "".join(self._lines)

    def process(self, name: str) -> int:
        """The process id of a node, once it has been started."""
        started = f"[{name}-"
        self.until(lambda: any(started in line and "pid [" in line for line in self._lines), f"the start of {name}")
        line = next(line for line in self._lines if started in line and "pid [" in line)
        return int(line.rpartition("pid [")[2].partition("]")[0])

    def until(self, condition, what: str) -> None:
        """Wait until `condition()` holds."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"{what} never came; the launch said:\n{self.output}")
            time.sleep(0.02)

    def time_of(self, text: str) -> float:
        """The time [s] at which a node logged `text`: the lines of several processes may come in another order."""
        self.until(lambda: any(text in line for line in list(self._lines)), f"'{text}'")
        line = next(line for line in self._lines if text in line)
        found = re.search(r"\] \[(\d+\.\d+)\] \[", line)
        assert found, f"not a line of a node's log: {line}"
        return float(found[1])

    def wait(self) -> int:
        """The exit code of the launch system."""
        self.until(lambda: self._process.poll() is not None, "the end of the launch")
        self._reader.join(PATIENCE)
        return self._process.returncode

    def kill(self) -> None:
        """End the launch system at once, by SIGKILL: it cannot end its processes."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End everything that still runs, in order."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()


def running(process: int) -> bool:
    """Whether a process is there and not only waits for its parent to read its exit code."""
    try:
        state = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"
