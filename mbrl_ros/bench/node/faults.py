"""Count what mpc_node does wrong with bad messages, killed processes and full disks.

A simulated Panda at BENCH_RATE, velocity interface, is controlled over DDS. Every command that arrives is checked.
Counted are

    controller_crashes      the node ended without being asked to, or did not end in order when asked
    out_of_limit_commands, non_finite_commands
    late_safe_commands      the safe command came later than the time-out of the state + one period + 20 ms after the
                            last state, or not at all when the node was asked to end
    unrecovered             it did not continue as documented: by itself after a short pause of the states or a clock
                            that jumped, after ~/clear and ~/resume after a long one, when started again after a kill
"""

from __future__ import annotations

import resource
import signal
import tempfile
import time
from collections.abc import Callable

import numpy as np

from ...config.sections.nodes import NodeSettings
from ...demo.dds_domain import free_domain
from ...exceptions import MbrlError
from ...messages.state_check import NEW_BEGINNING
from ...messages.state_origin import ALONE
from ...nodes import qos, realtime
from .bad_messages import TOPICS, BadMessages
from .child import START_TIMEOUT, Child
from .recovery import ANSWER, RecoveryServices
from .robot import ROBOT, START_POSE, Feed, RobotSide

BENCH_RATE, BENCH_TIMEOUT = 100.0, 0.05  # [Hz], [s] control.state_timeout
SAFE_COMMAND_GRACE = 0.02  # [s]
BUILDING = "building the controller"  # what mpc_node logs once it handles signals
RETURNED = 30  # states after which a robot that was started again counts as back
MESSAGES_AT_ONCE = 4  # bad messages between two valid states
# [s] after those; where they make up a second publisher, the robot's states are a new beginning, and then alone
AMONG_BAD = ANSWER + NEW_BEGINNING + ALONE
CONTROLLER = {
    **ROBOT,
    "robot.interface": "velocity",
    "control.rate": BENCH_RATE,
    "control.state_timeout": BENCH_TIMEOUT,
    "control.stamp_clock": "ros",
    "features.points": 1,
}
SIMULATOR = {
    **ROBOT,
    "robot.interface": "velocity",
    "plant.rate": BENCH_RATE,
    "plant.initial_position": list(START_POSE),
    "brakes": False,
}
JUMPS = (-1e4, -10.0, -0.3, 0.3, 10.0, 1e4)  # [s]
BENCH_PARTS = ("bad-messages", "clock-jumps", "pauses", "robot-kills", "controller-kills", "full-disk")
KILL_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)

Progress = Callable[[str, int], None]


class FaultBench:
    """The parts of the bench; `counts` are their sums, `notes` explain what went wrong."""

    def __init__(self, seed: int = 0, progress: Progress = lambda what, done: None, priority: int = 0):
        """Prepare the bench.

        Parameters
        ----------
        seed
            of messages and times.
        progress
            Is called now and then with (what, done).
        priority
            SCHED_FIFO priority of the controller and of the measurement; 0: ordinary scheduling.
        """
        self._rng, self._progress = np.random.default_rng(seed), progress
        self._controller = {**CONTROLLER, "priority": priority}
        self._priority = priority
        self.counts = dict.fromkeys(
            (
                "bad_messages",
                "kills",
                "controller_crashes",
                "out_of_limit_commands",
                "non_finite_commands",
                "late_safe_commands",
                "unrecovered",
            ),
            0,
        )
        self.notes: list[str] = []

    def run_part(self, name: str, count: int) -> None:
        """Run one of BENCH_PARTS with `count` faults."""
        part = {
            "bad-messages": self._bad_messages,
            "clock-jumps": self._clock_jumps,
            "pauses": self._pauses,
            "robot-kills": self._kill_robots,
            "controller-kills": self._kill_controllers,
            "full-disk": self._full_disk,
        }[name]
        self._with_robot(lambda robot, domain: part(robot, domain, count))

    # --- the parts ------------------------------------------------------------------------------------------------

    def _bad_messages(self, robot: RobotSide, domain: int, count: int) -> None:
        """Send valid states with bad messages of every kind between them; each valid one must be answered."""
        child = Child("mpc_node", domain, self._controller)
        try:
            robot.wait_for_reader(child)
            publishers = {
                topic: robot.states if topic == "joint_states" else robot.node.create_publisher(kind, topic, qos.EVERY)
                for topic, kind in TOPICS.items()
            }
            bad, feed = (
                BadMessages(robot.robot.joints, START_POSE, int(self._rng.integers(2**31))),
                Feed(robot, BENCH_RATE),
            )
            if not feed.until_answered(START_TIMEOUT):
                raise MbrlError(f"the controller does not answer:\n{child.text()}")
            for done in range(0, count, MESSAGES_AT_ONCE):
                for _ in range(MESSAGES_AT_ONCE):
                    topic, message = bad.draw(time.time())
                    publishers[topic].publish(message)
                self.counts["bad_messages"] += MESSAGES_AT_ONCE
                if not feed.until_answered(AMONG_BAD):
                    self._lost(child, "no answer among bad messages")
                    return
                self._progress("bad messages", done)
            self._expect_order(child, signal.SIGTERM)
        finally:
            child.end(signal.SIGKILL)

    def _clock_jumps(self, robot: RobotSide, domain: int, count: int) -> None:
        """Let the robot's clock jump back or ahead; it continues from there."""
        child = Child("mpc_node", domain, {**self._controller, "control.stamp_clock": "own"})
        try:
            robot.wait_for_reader(child)
            feed = Feed(robot, BENCH_RATE)
            feed.until_answered(START_TIMEOUT)
            for k in range(count):
                feed.stream(0.1 + 0.2 * self._rng.random())
                feed.ahead += float(self._rng.choice(JUMPS))
                if not feed.until_answered(ANSWER):
                    self._lost(child, f"after its clock jumped to {feed.ahead:g} s ahead")
                    return
                self._progress("clock jumps", k)
            self._expect_order(child, signal.SIGTERM)
        finally:
            child.end(signal.SIGKILL)

    def _pauses(self, robot: RobotSide, domain: int, count: int) -> None:
        """Let the robot send no states for a short or a long time."""
        child = Child("mpc_node", domain, self._controller)
        try:
            robot.wait_for_reader(child)
            feed, services = Feed(robot, BENCH_RATE), RecoveryServices(robot)
            feed.until_answered(START_TIMEOUT)
            for k in range(count):
                feed.stream(0.1 + 0.2 * self._rng.random())
                last, long = time.perf_counter(), bool(self._rng.random() < 0.3)
                self._expect_safe_command(robot, last, "the last state")
                time.sleep(0.7 if long else 0.0)
                feed.stream(0.15)
                if long:
                    services.call()
                    feed.stream(0.15)
                if not robot.moves():
                    self._lost(child, f"after a {'long' if long else 'short'} pause of the states")
                self._progress("pauses of the states", k)
            self._expect_order(child, signal.SIGINT)
        finally:
            child.end(signal.SIGKILL)

    def _kill_robots(self, robot: RobotSide, domain: int, count: int) -> None:
        """Kill sim_node at a random time, and start it again."""
        child, simulator = Child("mpc_node", domain, {**self._controller, "control.stamp_clock": "own"}), None
        try:
            robot.subscribe_to_states()
            services = RecoveryServices(robot)
            for k in range(count):
                simulator, before = Child("sim_node", domain, SIMULATOR), robot.states_received
                if not robot.wait_for_states(before + RETURNED, START_TIMEOUT):
                    raise MbrlError(f"the simulated robot does not start:\n{simulator.text()}")
                if not (services.recover() if k else robot.wait_until(robot.moves, START_TIMEOUT)):
                    self._lost(child, "after the robot was started again")
                time.sleep(0.3 * self._rng.random())
                number = KILL_SIGNALS[k % len(KILL_SIGNALS)]
                code = simulator.end(number)
                self._expect_safe_command(robot, robot.received_at, f"the last state of a robot ended by {number.name}")
                self.counts["kills"] += 1
                if number != signal.SIGKILL and code:
                    self.notes.append(f"sim_node: exit code {code} after {number.name}:\n{simulator.text()}")
                self._progress("killed robots", k)
            self._expect_order(child, signal.SIGINT)
        finally:
            child.end(signal.SIGKILL)
            if simulator is not None:
                simulator.end(signal.SIGKILL)

    def _kill_controllers(self, robot: RobotSide, domain: int, count: int) -> None:
        """Kill the controller at a random time, before its first command or after it, and start it again."""
        for k in range(count):
            child, number = Child("mpc_node", domain, self._controller), KILL_SIGNALS[k % len(KILL_SIGNALS)]
            try:
                robot.wait_for_reader(child)
                feed, early = Feed(robot, BENCH_RATE), bool(self._rng.random() < 0.2)
                if early:
                    time.sleep(0.1 * self._rng.random())
                elif feed.until_answered(START_TIMEOUT):
                    feed.stream(0.3 * self._rng.random())
                else:
                    self._lost(child, "after being started again")
                if number == signal.SIGKILL:
                    child.end(number)
                else:
                    self._expect_order(child, number)
                    if not early and not robot.wait_until(lambda: not robot.moves(), 0.5):
                        self._late(f"no safe command after {number.name}")
                self.counts["kills"] += 1
                self._progress("killed controllers", k)
            finally:
                child.end(signal.SIGKILL)

    def _full_disk(self, robot: RobotSide, domain: int, count: int) -> None:
        """Start the controller where no file can be written, neither logs of ROS nor its own."""
        with tempfile.NamedTemporaryFile() as file:
            for k in range(count):
                child = Child(
                    "mpc_node",
                    domain,
                    {**self._controller, "log_file": f"{file.name}/ticks.npz"},
                    environment={"ROS_LOG_DIR": file.name},
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
                )
                try:
                    robot.wait_for_reader(child)
                    if not Feed(robot, BENCH_RATE).until_answered(START_TIMEOUT):
                        self._lost(child, "without a disk")
                    self._expect_order(child, signal.SIGTERM)
                    self._progress("restarts without a disk", k)
                finally:
                    child.end(signal.SIGKILL)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _with_robot(self, part: Callable[[RobotSide, int], None]) -> None:
        domain = free_domain()
        robot = RobotSide(domain, "velocity")
        if self._priority:  # if the measurement is late itself, that would count as the controller's lateness
            realtime.settle_thread(NodeSettings(priority=self._priority), lambda text: None)
        try:
            part(robot, domain)
        finally:
            robot.close()
            self.counts["out_of_limit_commands"] += robot.out_of_limit
            self.counts["non_finite_commands"] += robot.not_finite

    def _expect_order(self, child: Child, number: int) -> None:
        """End the process; it must do so in order, unless Python still loads its modules."""
        loading = BUILDING not in child.text()
        code = child.end(number)
        if code != 0 and not loading:
            self.counts["controller_crashes"] += 1
            self.notes.append(f"exit code {code} after {signal.Signals(number).name}:\n{child.text()}")

    def _expect_safe_command(self, robot: RobotSide, last: float, what: str) -> None:
        """Expect the safe command after the last state, sent at `last` [s], at most the time-out and a period later."""
        safe = robot.wait_until(lambda: not robot.moves(), 1.0)
        after = robot.resting_since - last
        if not safe or after > BENCH_TIMEOUT + 1.0 / BENCH_RATE + SAFE_COMMAND_GRACE:
            self._late(f"safe command {1e3 * after:.1f} ms after {what}" if safe else f"no safe command after {what}")

    def _late(self, note: str) -> None:
        self.counts["late_safe_commands"] += 1
        self.notes.append(note)

    def _lost(self, child: Child, when: str) -> None:
        """Count a controller that does not answer: a crash if it has ended."""
        self.counts["unrecovered" if child.running else "controller_crashes"] += 1
        self.notes.append(
            f"{when}: {'it runs but does not answer' if child.running else 'it has ended'}\n{child.text()}"
        )
