"""mpc_node's side of the guard: its parameters go out 20 times a second, its status and its commands are watched.

guard_watch.py draws the conclusions. The second is one of simulated time where the deadlines are, and in
lockstep one of the periods.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.timer import Timer
from std_msgs.msg import Float64MultiArray, MultiArrayDimension

from ..config.section import per_joint
from ..config.sections.safety import SupervisorSettings
from ..guard.command_bytes import read_command
from ..guard.messages import GuardMessageError, GuardParameters, GuardStatus, Mode, Time, read_status, write_parameters
from ..messages.message_size import too_large
from ..robots import Robot
from ..robots.urdf import robot_name
from ..runtime.control_loop import ControlLoop
from ..runtime.interfaces import Tick
from ..safety.state_machine import Guard
from ..safety.supervisor import Supervisor
from ..types import Array
from . import bounded, qos
from .command_publisher import CommandPublisher
from .diagnostics import part_status
from .guard_watch import GuardWatch
from .heard_commands import HeardCommands
from .tick_observer import TickObserver
from .wall_timer import create_wall_timer

PERIOD, LINK_DIAGNOSTICS_PERIOD = 0.05, 1.0  # [s]
POLL = 0.02  # [s]
ROUNDING = 1e-9  # [s]
SILENT = 2.0  # [s] without a status after which the guard counts as missing
FIRST_STATUS = 0.3  # [s] for the status of a guard that is there
FOREVER = 1e9  # [s]
LARGEST_MESSAGE = 65536  # bytes
ECHO = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class GuardLink(TickObserver):
    """The connection of one control loop with the guard node `guard`.

    Parameters
    ----------
    node, loop, supervisor
        of mpc_node.
    commands
        the publisher whose commands the guard forwards.
    guard
        the guard's name, as in the parameter `guard`.
    state_timeout
        age of a joint state after which it is not used [s].
    measure
        what the periods are counted in.
    """

    def __init__(
        self,
        node: LifecycleNode,
        loop: ControlLoop,
        supervisor: Supervisor,
        commands: CommandPublisher,
        guard: str,
        *,
        state_timeout: float,
        measure: Time,
    ):
        self._node, self._loop, self._supervisor, self._commands = node, loop, supervisor, commands
        self._guard, self._state_timeout, self._time = guard, state_timeout, measure
        robot: Robot = supervisor.robot
        self._hardware = robot_name(robot.urdf)
        self._watch = GuardWatch(
            loop.dt,
            supervisor.settings.stale_limit,
            robot.command_upper - robot.command_lower,
            override=self._override,
            request=loop.request,
            time=measure,
        )
        self._heard = HeardCommands(loop.dt, timed=measure is Time.WALL)
        self._parameters = node.create_publisher(Float64MultiArray, f"{guard}/parameters_in", qos.RELIABLE)
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", qos.RELIABLE)
        subscribe = node.create_subscription
        self._subscriptions = [
            bounded.subscribe(
                node,
                Float64MultiArray,
                f"{guard}/guard_status",
                self._on_status,
                qos.LATCHED,
                LARGEST_MESSAGE,
                self._on_too_large,
            ),
            subscribe(Float64MultiArray, "commands", self._on_command, ECHO, raw=True),
        ]
        self._told: tuple[GuardStatus, float] | None = None  # the newest status, and when it came [s]
        self._timer: Timer | None = None
        self._counter, self._ticks = 0, 0
        self._next, self._next_on_wall = -np.inf, -np.inf  # when parameters go out, by the loop's clock and the wall's
        self._sending = threading.Lock()
        self._sent: GuardParameters | None = None

    # --- a tick observer ----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin to watch: until the guard forwards, it counts as commanding the arm, unless it has not begun to."""
        self._next, self._sent = -np.inf, None
        self._heard.clear()
        self._timer = create_wall_timer(self._node, LINK_DIAGNOSTICS_PERIOD, self._diagnose)
        status, at = self._told or (None, -np.inf)
        waits = status is not None and status.state == Mode.WAITING and time.monotonic() - at < SILENT
        self._watch.begin(status if waits else None)

    def wait(self, seconds: float, ended: Callable[[], bool]) -> None:
        """Wait until the guard can be talked to, at most `seconds` [s], or until `ended`; without it nothing moves."""
        deadline, status = time.monotonic() + seconds, f"{self._guard}/guard_status"
        while self._parameters.get_subscription_count() == 0 or self._node.count_publishers(status) == 0:
            if ended():
                return
            if time.monotonic() > deadline:
                self._node.get_logger().warning(f"the guard '{self._guard}' does not answer; nothing moves without it")
                return
            time.sleep(POLL)
        deadline = time.monotonic() + FIRST_STATUS
        while self._told is None and time.monotonic() < deadline and not ended():
            time.sleep(POLL)

    def before_tick(self) -> None:
        """Notice that the guard is silent."""
        if self._watch.before_tick(time.monotonic()):
            self._loop.statistics.events["commands past a silent guard"] += 1

    def after_tick(self, tick: Tick) -> None:
        """Send the parameters when they are due, and notice that the guard is lost."""
        wall, order = time.monotonic(), self._commands.order
        now, lockstep = wall, self._time is Time.LOCKSTEP
        if lockstep:
            self._ticks += 1
            now = self._ticks * self._loop.dt
        elif self._time is Time.SIMULATED:
            now = self._loop.clock.now()
        # the guard's time goes on with the wall clock while /clock stands
        if order is not None and (now >= self._next or wall >= self._next_on_wall and not lockstep):
            self._next, self._next_on_wall = now + PERIOD - ROUNDING, wall + PERIOD
            self._send(self._present_parameters(tick.observation.q, order))
        behind = self._loop.mailbox.waiting if lockstep else self._loop.clock.stands()
        if self._watch.after_tick(wall, behind=behind):
            self._node.get_logger().error(
                f"no command comes from the guard '{self._guard}': the arm is stopped on 'commands'; start the guard "
                "again, then call ~/clear and ~/resume"
            )

    def end(self) -> None:
        """Stop reporting; the node is no longer active."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None

    def destroy(self) -> None:
        """Release topics and timer."""
        self.end()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        for publisher in (self._parameters, self._diagnostics):
            self._node.destroy_publisher(publisher)

    # --- callbacks ----------------------------------------------------------------------------------------------------

    def _on_command(self, raw: bytes) -> None:
        if len(raw) > LARGEST_MESSAGE:
            return  # it is none of the guard's; who else publishes commands is said by command_watch.py
        now, read = time.monotonic(), read_command(raw) if self._watch.past_guard else None
        self._watch.heard(now, "" if read is None else read[0])
        self._heard.put(raw, now)  # from whomever: it is what the robot has

    def _on_status(self, message: Float64MultiArray) -> None:
        order = self._commands.order
        try:
            status = read_status(message)
            if status.u is not None and order is not None:
                status.u[order] = status.u.copy()  # into the robot's order
        except (GuardMessageError, IndexError, ValueError) as error:
            self._node.get_logger().warning(f"{self._guard}/guard_status: {error}", throttle_duration_sec=5.0)
            return
        self._told = status, time.monotonic()
        ready = self._loop.running and self._loop.statistics.ticks and order is not None
        if not ready and status.state != Mode.WAITING:
            return
        known = self._watch.epoch
        self._watch.take_status(status, time.monotonic())
        self._commands.past_guard = self._watch.past_guard
        if self._watch.epoch != known and self._sent is not None:
            self._send(self._sent)  # the guard waits for the acknowledgement

    def _on_too_large(self, raw: bytes) -> None:
        text = too_large(f"{self._guard}/guard_status", len(raw), LARGEST_MESSAGE)
        self._node.get_logger().warning(text, throttle_duration_sec=5.0)

    def _override(self, guard: Guard, command: Array | None) -> None:
        begins = self._watch.past_guard and not self._commands.past_guard
        self._commands.past_guard = self._watch.past_guard
        speed, order = None, self._commands.order
        heard = self._heard.last(self._supervisor.robot.n) if begins and order is not None else None
        if heard is not None:  # the robot is there; this node's own commands have gone on past it
            command, speed = np.empty_like(heard[0]), np.empty_like(heard[1])
            command[order], speed[order] = heard
        self._loop.between_commands(
            "guard",
            lambda: self._supervisor.override(guard, command, speed),
            guard=guard.value,
            command=None if command is None else command.tolist(),
            speed=None if speed is None else speed.tolist(),
        )

    # --- inside -------------------------------------------------------------------------------------------------------

    def _send(self, parameters: GuardParameters) -> None:
        """Send parameters, with what is acknowledged now; from any thread."""
        with self._sending:
            self._counter += 1
            self._sent = dataclasses.replace(parameters, counter=self._counter, epoch=self._watch.epoch)
            self._parameters.publish(write_parameters(self._sent, Float64MultiArray(), MultiArrayDimension))

    def _present_parameters(self, q: Array, order: NDArray[np.intp]) -> GuardParameters:
        """Return what the guard must know at the pose q (n,), in the order of the commands."""
        robot, settings = self._supervisor.robot, self._supervisor.settings
        span = robot.command_upper - robot.command_lower
        step = per_joint(settings.command_rate, robot.n, "supervisor.command_rate") * span
        mean, square = np.zeros(robot.n), [np.zeros((0, 0))] * 4
        brakes = True
        if robot.interface == "effort":
            law = self._supervisor.safe.linear_effort(q)
            mean, brakes = np.clip(law.mean, robot.command_lower, robot.command_upper), law.brakes
            square = [M[np.ix_(order, order)] for M in (law.inertia, law.damping, law.stiffness, law.integral)]
        vectors = (
            robot.command_lower, robot.command_upper, step, robot.velocity_limit, robot.acceleration_limit,
            robot.position_lower, robot.position_upper, mean,
        )  # fmt: skip
        return GuardParameters(
            self._node.get_fully_qualified_name(),
            self._hardware,
            robot.interface,
            "brake" if brakes else "present",
            tuple(robot.joints[int(i)] for i in order),
            0,
            -1,
            self._time,
            self._loop.dt,
            self._state_timeout,
            _carry_time(settings),
            0 if self._time is Time.LOCKSTEP else self._commands.readers,
            *(vector[order] for vector in vectors),
            *square,
        )

    def _diagnose(self) -> None:
        watch = self._watch
        status, silent = watch.status, time.monotonic() - watch.status_at
        if watch.lost:
            level, text = DiagnosticStatus.ERROR, "the guard has ended: the arm is stopped past it"
        elif status is None or silent > SILENT:
            level, text = DiagnosticStatus.ERROR, f"no status of the guard '{self._guard}': is it running?"
            self._node.get_logger().warning(text, throttle_duration_sec=5.0)
        elif watch.overridden:
            level, text = DiagnosticStatus.WARN, f"the guard commands the arm: {status.mode.lower()}, {status.cause}"
        elif status.state == Mode.WAITING:
            level, text = DiagnosticStatus.OK, "the guard waits for the first command"
        else:
            level, text = DiagnosticStatus.OK, "the guard forwards commands"
        state = "unknown" if status is None else status.mode
        report = part_status(f"{self._node.get_fully_qualified_name()}: guard", level, text, [("state", state)])
        report.hardware_id = self._hardware
        message = DiagnosticArray(status=[report])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def _carry_time(settings: SupervisorSettings) -> float:
    """For how long [s] an effort carries the arm without joint states."""
    if settings.safe_effort == "arrest" and settings.blind_effort == "zero":
        return settings.blind_time
    return FOREVER
