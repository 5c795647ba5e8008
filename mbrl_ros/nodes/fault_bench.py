"""What mpc_node does when everything around it goes wrong: bad messages, killed processes, disks that are full.

A simulated Panda at RATE, velocity interface, is controlled over DDS. Every command that is heard is judged. Counted are

    controller_crashes      the node ended though nobody had asked it to, or did not end in order when asked
    out_of_limit_commands, non_finite_commands
    late_safe_commands      the safe command came later than the state's time-out + one period + 20 ms after the last state
    unrecovered             it did not go on as documented: by itself after a short outage, after ~/clear and ~/resume
                            after a long one, by being started again after a kill
"""

from __future__ import annotations

import os
import resource
import signal
import tempfile
import time
from collections.abc import Callable

import numpy as np
from std_srvs.srv import Trigger

from ..demo.run import free_domain
from ..exceptions import MbrlError
from . import qos
from .bad_messages import TOPICS, BadMessages
from .bench_robot import HOME, ROBOT, Child, RobotSide, StateMaker

RATE, TIMEOUT = 100.0, 0.05  # [Hz], [s] control.state_timeout
GRACE = 0.02  # [s]
ANSWER = 2.0  # [s] within which a living controller answers a good state
BATCH = 4  # bad messages between two good states
CONTROLLER = {**ROBOT, "robot.interface": "velocity", "control.rate": RATE, "control.state_timeout": TIMEOUT,
              "control.stamp_clock": "ros", "features.points": 1}
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)

Progress = Callable[[str, int], None]


class FaultBench:
    """Runs the parts one after the other and adds up `counts`. progress(what, done) is told now and then."""

    def __init__(self, seed: int = 0, progress: Progress = lambda what, done: None):
        self._rng, self._progress = np.random.default_rng(seed), progress
        self.counts = dict.fromkeys(("bad_messages", "kills", "controller_crashes", "out_of_limit_commands",
                                     "non_finite_commands", "late_safe_commands", "unrecovered"), 0)
        self.notes: list[str] = []

    def run(self, messages: int, kills: int, restarts: int) -> dict[str, int]:
        self._with_robot(lambda robot, domain: self._storm(robot, domain, messages))
        self._with_robot(lambda robot, domain: self._silences(robot, domain, kills))
        self._with_robot(lambda robot, domain: self._kills(robot, domain, kills))
        self._with_robot(lambda robot, domain: self._full_disk(robot, domain, restarts))
        return self.counts

    # --- the parts ------------------------------------------------------------------------------------------------

    def _storm(self, robot: RobotSide, domain: int, count: int) -> None:
        """Good states with bad messages of every kind between them; each good one must be answered."""
        child = Child("mpc_node", domain, CONTROLLER)
        try:
            robot.wait_for_reader(child)
            publishers = {topic: robot.states if topic == "joint_states" else
                          robot.node.create_publisher(kind, topic, qos.EVERY) for topic, kind in TOPICS.items()}
            bad, feed = BadMessages(robot.robot.joints, HOME, int(self._rng.integers(2**31))), Feed(robot)
            if not feed.until_answered(START_UP):
                raise MbrlError(f"the controller does not answer:\n{child.text()}")
            for done in range(0, count, BATCH):
                for _ in range(BATCH):
                    topic, message = bad.draw(time.time())
                    publishers[topic].publish(message)
                self.counts["bad_messages"] += BATCH
                if not feed.until_answered(ANSWER):
                    self._lost(child, "no answer among bad messages")
                    return
                self._progress("bad messages", done)
            self._expect_order(child, signal.SIGTERM)
        finally:
            child.end(signal.SIGKILL)

    def _silences(self, robot: RobotSide, domain: int, count: int) -> None:
        """The robot falls silent, as if killed, for a short or a long while; then it speaks again."""
        child = Child("mpc_node", domain, CONTROLLER)
        try:
            robot.wait_for_reader(child)
            feed = Feed(robot)
            services = {name: robot.node.create_client(Trigger, f"mpc_node/{name}") for name in ("clear", "resume")}
            feed.until_answered(START_UP)
            for k in range(count):
                feed.stream(0.1 + 0.2 * self._rng.random())
                last, long = time.perf_counter(), bool(self._rng.random() < 0.3)
                safe = robot.wait_until(lambda: not robot.newest.any(), 1.0)
                # the command may act up to the time-out on the last state, and a period passes between two looks
                if not safe or robot.at - last > TIMEOUT + 1.0 / RATE + GRACE:
                    self.counts["late_safe_commands"] += 1
                    self.notes.append(f"safe command {1e3 * (robot.at - last):.1f} ms after the last state")
                time.sleep(0.7 if long else 0.0)
                feed.stream(0.15)
                if long:
                    for client in services.values():
                        self._call(client)
                    feed.stream(0.15)
                self.counts["kills"] += 1
                if not robot.newest.any():
                    self._lost(child, f"after a {'long' if long else 'short'} silence")
                self._progress("silent robots", k)
            self._expect_order(child, signal.SIGINT)
        finally:
            child.end(signal.SIGKILL)

    def _kills(self, robot: RobotSide, domain: int, count: int) -> None:
        """The controller is killed at a random moment, and started again."""
        for k in range(count):
            child, number = Child("mpc_node", domain, CONTROLLER), SIGNALS[k % len(SIGNALS)]
            try:
                robot.wait_for_reader(child)
                feed = Feed(robot)
                if not feed.until_answered(START_UP):
                    self._lost(child, "after being started again")
                feed.stream(0.3 * self._rng.random())
                if number == signal.SIGKILL:
                    child.end(number)
                else:
                    self._expect_order(child, number)
                    if not robot.wait_until(lambda: not robot.newest.any(), 0.5):
                        self.counts["late_safe_commands"] += 1
                        self.notes.append(f"no safe command after {number.name}")
                self.counts["kills"] += 1
                self._progress("killed controllers", k)
            finally:
                child.end(signal.SIGKILL)

    def _full_disk(self, robot: RobotSide, domain: int, count: int) -> None:
        """No file can be written, neither ROS's logs nor ours."""
        with tempfile.NamedTemporaryFile() as file:
            for k in range(count):
                child = Child("mpc_node", domain, {**CONTROLLER, "log_file": f"{file.name}/ticks.npz"},
                              environment={"ROS_LOG_DIR": file.name},
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
                try:
                    robot.wait_for_reader(child)
                    if not Feed(robot).until_answered(START_UP):
                        self._lost(child, "without a disk")
                    self._expect_order(child, signal.SIGTERM)
                    self._progress("restarts without a disk", k)
                finally:
                    child.end(signal.SIGKILL)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _with_robot(self, part: Callable[[RobotSide, int], None]) -> None:
        domain = free_domain()
        robot = RobotSide(domain, "velocity")
        try:
            part(robot, domain)
        finally:
            robot.close()
            self.counts["out_of_limit_commands"] += robot.out_of_limit
            self.counts["non_finite_commands"] += robot.not_finite

    def _expect_order(self, child: Child, number: int) -> None:
        code = child.end(number)
        if code != 0:
            self.counts["controller_crashes"] += 1
            self.notes.append(f"exit code {code} after {signal.Signals(number).name}:\n{child.text()}")

    def _lost(self, child: Child, when: str) -> None:
        self.counts["unrecovered" if child.running else "controller_crashes"] += 1
        self.notes.append(f"{when}: {'it lives but does not answer' if child.running else 'it has ended'}\n{child.text()}")

    @staticmethod
    def _call(client) -> None:
        future = client.call_async(Trigger.Request())
        deadline = time.monotonic() + ANSWER
        while not future.done() and time.monotonic() < deadline:
            time.sleep(0.005)


START_UP = 120.0  # [s], the first compilation included


class Feed:
    """Good states at RATE from a simulated arm that obeys."""

    def __init__(self, robot: RobotSide):
        self._robot, self._states = robot, StateMaker(RATE, robot.robot)

    def send(self) -> float:
        stamp = time.time()
        self._robot.states.publish(self._states.message(stamp))
        return stamp

    def until_answered(self, seconds: float) -> bool:
        """Send states until one of them is answered."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            stamp = self.send()
            if self._robot.wait_until(lambda: abs(self._robot.answered - stamp) < 1e-6, 1.0 / RATE):
                self._states.advance(self._robot.newest)
                return True
        return False

    def stream(self, seconds: float) -> None:
        """States at RATE for a while, the arm obeying the newest command."""
        begin = time.perf_counter()
        for k in range(max(1, round(seconds * RATE))):
            time.sleep(max(0.0, begin + k / RATE - time.perf_counter()))
            self.send()
            self._states.advance(self._robot.newest)


def table(counts: dict[str, int]) -> str:
    return "\n".join(["| what | count |", "|---|---|", *(f"| {key.replace('_', ' ')} | {value} |" for key, value in counts.items())])
