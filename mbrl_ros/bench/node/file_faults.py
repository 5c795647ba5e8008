"""Accidents with parameter files: mpc_node must not command the arm, must end with a code, and must say why.

A file that is right but meant for another controller cannot be refused before that controller is asked: then the node
runs, publishes nothing, and says so.
"""

from __future__ import annotations

import itertools
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from std_msgs.msg import Float64MultiArray

from ...demo.dds_domain import free_domain
from ...nodes import qos
from .child import START_TIMEOUT, Child
from .fault_record import Cell
from .robot import DESCRIPTION, JOINTS, TIP_LINK, RobotSide, StateMaker

FILES = "parameter-files"
CONTROLLER_NAME = "bench_controller"
FILE_RATE = 50.0  # [Hz] of the states that are sent meanwhile
AFTERWARDS = 0.5  # [s] for which commands are watched for
FILE_HEAD = "/**:\n  ros__parameters:\n"
OTHER = {"effort": "velocity", "velocity": "position", "position": "effort"}


def right_file(interface: str) -> str:
    """Return a file with which mpc_node commands the Panda."""
    return (
        f"{FILE_HEAD}    control.rate: {FILE_RATE}\n    control.stamp_clock: ros\n    robot:\n"
        f"      description: {DESCRIPTION}\n      joints: [{', '.join(JOINTS)}]\n      tip: {TIP_LINK}\n"
        f"      interface: {interface}\n"
    )


Change = Callable[[str], str]
ACCIDENTS: Mapping[str, Change | None] = {  # what becomes of the right file; None: there is no file
    "no file": None,
    "an empty file": lambda text: "",
    "no list of ROS parameters": lambda text: text.replace("  ros__parameters:\n", ""),
    "the name of another node": lambda text: text.replace("/**", "mcp_node"),
    "an unknown key": lambda text: text + "      jonts: [x]\n",
    "an unknown section": lambda text: text + "    plannner: {horizon: 20}\n",
    "a key of another node": lambda text: text + "    plant.seed: 3\n",
    "a mistyped number": lambda text: text.replace(f"{FILE_RATE}", "5O.0"),
    "a number out of range": lambda text: text.replace(f"{FILE_RATE}", "0.01"),
    "not a number": lambda text: text + "      acceleration_limit: [.nan]\n",
    "a mistyped interface": lambda text: text.replace("interface: ", "interface: x"),
    "no interface": lambda text: text[: text.rindex("      interface")],
    "no joints": lambda text: "".join(line for line in text.splitlines(True) if "joints: [" not in line),
    "a mistyped joint": lambda text: text.replace("panda_joint3", "panda_jont3"),
    "a key given twice": lambda text: text + "      tip: panda_link8\n",
    "a tab": lambda text: text.replace("      tip", "\ttip"),
    "an unclosed quote": lambda text: text + "    model_file: 'x\n",
}
WRONG_INTERFACE = "another interface than the controller's"


class FileFaults:
    """The accidents with one interface, counted in `cell`; `kills` counts the starts."""

    def __init__(self, interface: str, seed: int, cell: Cell):
        self._interface, self.cell = interface, cell
        self._rng = np.random.default_rng((seed, 200, len(interface)))

    def run(self, count: int, progress: Callable[[int], None] = lambda done: None) -> None:
        """Start mpc_node `count` times: for another controller, then with the accidents in random order."""
        domain = free_domain()
        robot = RobotSide(domain, self._interface)
        got: list[Float64MultiArray] = []
        try:
            node = robot.add_node(CONTROLLER_NAME)
            node.declare_parameter("joints", list(JOINTS))
            node.declare_parameter("interface_name", OTHER[self._interface])
            node.create_subscription(Float64MultiArray, f"{CONTROLLER_NAME}/commands", got.append, qos.EVERY)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "robot.yaml"
                for name in itertools.islice(self._names(), count):
                    self._happen(robot, domain, name, path, got)
                    progress(self.cell.kills)
        finally:
            robot.close()

    def _names(self) -> Iterator[str]:
        """Yield what happens: first, and after all accidents again, WRONG_INTERFACE."""
        while True:
            yield WRONG_INTERFACE
            yield from reversed(self._rng.permutation(list(ACCIDENTS)).tolist())

    def _happen(self, robot: RobotSide, domain: int, name: str, path: Path, got: list[Float64MultiArray]) -> None:
        """Write the file, or none, and start mpc_node with it."""
        right, change = right_file(self._interface), ACCIDENTS.get(name)
        path.unlink(missing_ok=True)
        if name == WRONG_INTERFACE:
            path.write_text(right)
            self._wrong_interface(robot, domain, path, got)
            return
        if change is not None:
            path.write_text(change(right))
        self._refused(robot, domain, name, path)

    def _refused(self, robot: RobotSide, domain: int, name: str, path: Path) -> None:
        """Start with a wrong file: the node must end with a code and say why, and nothing may move."""
        before = robot.commands
        child = Child("mpc_node", domain, {}, ["--params-file", str(path)])
        try:
            self._feed(robot, START_TIMEOUT, lambda: not child.running or robot.commands > before)
            code = child.end(signal.SIGTERM) if child.running else child.process.wait()
            self._feed(robot, AFTERWARDS, lambda: robot.commands > before)
            child.finish()
        finally:
            child.end(signal.SIGKILL)
        self.cell.kills += 1
        if robot.commands > before:
            self.cell.unasked += robot.commands - before
            self.cell.note(f"{name}: {robot.commands - before} commands\n{child.text()}")
        if code == 0 or not child.output:
            self.cell.silent += 1
            self.cell.note(f"{name}: exit code {code}\n{child.text()}")
        if any("Traceback" in line for line in child.output):
            self.cell.crashes += 1
            self.cell.note(f"{name}: a traceback\n{child.text(40)}")

    def _wrong_interface(self, robot: RobotSide, domain: int, path: Path, got: list[Float64MultiArray]) -> None:
        """Start with a file for another controller: the node must send nothing and say so."""
        got.clear()
        remap = ["-r", f"commands:={CONTROLLER_NAME}/commands"]
        child = Child("mpc_node", domain, {}, ["--params-file", str(path), *remap])
        try:
            said = self._feed(robot, START_TIMEOUT, lambda: "no command will be published" in child.text(50))
            self._feed(robot, 2.0 * AFTERWARDS, lambda: bool(got))
        finally:
            child.end(signal.SIGTERM)
        self.cell.kills += 1
        if got:
            self.cell.unasked += len(got)
            self.cell.note(f"{WRONG_INTERFACE}: {len(got)} commands\n{child.text()}")
        if not said:
            self.cell.silent += 1
            self.cell.note(f"{WRONG_INTERFACE}: not reported\n{child.text()}")

    @staticmethod
    def _feed(robot: RobotSide, seconds: float, until: Callable[[], bool]) -> bool:
        """Send states for `seconds` or until a condition holds; return whether it does."""
        states, end = StateMaker(FILE_RATE, robot.robot), time.monotonic() + seconds
        while not until():
            if time.monotonic() > end:
                return False
            robot.states.publish(states.message(time.time()))
            time.sleep(1.0 / FILE_RATE)
        return True
