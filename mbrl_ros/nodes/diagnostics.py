"""Diagnostics of mpc_node, once a second on /diagnostics: control loop, supervisor, model, input streams, targets."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.lifecycle import LifecycleNode
from rclpy.timer import Timer

from ..config.sections.nodes import NodeSettings
from ..controllers.base import Controller
from ..messages.input_gate import InputGate
from ..robots.urdf import robot_name
from ..runtime.control_loop import ControlLoop
from ..runtime.interfaces import CommandSupervisor, Tick
from ..runtime.statistics import Rolling
from ..safety.state_machine import Reason, State
from . import qos
from .command_watch import CommandWatch
from .prediction_quality import PredictionQuality
from .target_outcomes import TargetOutcomes
from .tick_observer import TickObserver
from .wall_timer import create_wall_timer

DIAGNOSTICS_PERIOD = 1.0  # [s]
COMMANDS_PART, READY = ": commands", "ready"  # a part of the diagnostics, and in it whether a state would be answered
Values = list[tuple[str, object]]


class Part(Protocol):
    """What has a part in the diagnostics."""

    def diagnosis(self, name: str) -> DiagnosticStatus:
        """Return its part, for the node `name`."""


class Diagnostics(TickObserver):
    """Publish the diagnostics, also while there are no ticks.

    They are computed one part a tick, right after its command: all at once would delay the next one.
    """

    def __init__(
        self,
        node: LifecycleNode,
        loop: ControlLoop,
        gates: Sequence[InputGate],
        targets: TargetOutcomes,
        settings: NodeSettings,
        watch: CommandWatch,
        gripper: Part | None = None,
    ):
        self._node, self._loop, self._gates, self._settings = node, loop, gates, settings
        self._targets, self._watch, self._gripper = targets, watch, gripper
        self._hardware = robot_name(loop.controller.robot.urdf)
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", qos.RELIABLE)
        self._timer: Timer | None = None
        self._remaining: Iterator[DiagnosticStatus] | None = None  # parts of the present diagnostics still to compute
        self._parts: list[DiagnosticStatus] = []
        self._started = -math.inf  # when the present diagnostics were begun [s], perf_counter
        self._reasons: Counter[Reason] = Counter()
        self._prediction = PredictionQuality()
        self._excited = 0

    def begin(self) -> None:
        """Start anew: the node becomes active."""
        self._remaining, self._started = None, -math.inf
        self._reasons, self._prediction = Counter(), PredictionQuality()
        self._timer = create_wall_timer(self._node, DIAGNOSTICS_PERIOD, self._publish_without_ticks)

    def after_tick(self, tick: Tick) -> None:
        """Count what a tick tells, and compute or publish one part of the diagnostics."""
        if tick.command.reasons:
            self._reasons.update(reason for reason in Reason if reason and reason in tick.command.reasons)
        if tick.decision is not None:
            self._excited = tick.decision.excited
            self._prediction.add(tick.observation, tick.decision, self._loop.controller.nis_bound)
        now = time.perf_counter()
        if self._remaining is None and now - self._started >= DIAGNOSTICS_PERIOD:
            self._started, self._parts, self._remaining = now, [], self._compute()
        if self._remaining is not None:
            part = next(self._remaining, None)
            if part is not None:
                self._parts.append(part)
                return
            self._remaining = None
            self._publish(self._parts)

    def end(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None

    def destroy(self) -> None:
        """Release the publisher."""
        self._node.destroy_publisher(self._publisher)

    def _publish_without_ticks(self) -> None:
        if time.perf_counter() - self._started > 1.5 * DIAGNOSTICS_PERIOD:
            self._publish(list(self._compute()))

    def _publish(self, parts: list[DiagnosticStatus]) -> None:
        for part in parts:
            part.hardware_id = self._hardware
        message = DiagnosticArray(status=parts)
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def _compute(self) -> Iterator[DiagnosticStatus]:
        reasons, self._reasons = self._reasons, Counter()
        name, loop = self._node.get_fully_qualified_name(), self._loop
        yield loop_status(name, loop, self._settings)
        yield supervisor_status(name, loop.supervisor, reasons)
        yield model_status(name, loop.controller, self._prediction, self._excited)
        for gate in self._gates:
            yield input_status(name, gate)
        yield target_status(name, self._targets)
        if (rule := loop.supervisor.collisions) is not None:
            level = DiagnosticStatus.WARN if rule.acting else DiagnosticStatus.OK
            yield part_status(f"{name}: collisions", level, rule.text, rule.report())
        if self._gripper is not None:
            yield self._gripper.diagnosis(name)
        if not self._settings.shadow:
            yield command_status(name, self._watch)


def loop_status(name: str, loop: ControlLoop, settings: NodeSettings) -> DiagnosticStatus:
    """Return how well the control loop keeps its time."""
    values: Values = [
        ("rate [Hz]", 1.0 / loop.statistics.period.mean() if loop.statistics.period.count else 0.0),
        ("ticks", loop.statistics.ticks),
        ("missed ticks", loop.statistics.missed),
        ("age of the acting command beyond the delay [ms]", 1e3 * loop.age.mean),
        ("authority [0..1]", loop.age.authority),
        *loop.loop_watch.report(),
        *_percentiles("period", loop.statistics.period),
        *_percentiles("compute", loop.statistics.compute),
        *_percentiles("latency", loop.statistics.latency),
        *sorted(loop.statistics.events.items()),
    ]
    return part_status(f"{name}: control loop", *_timeliness(loop, settings), values)


def supervisor_status(name: str, supervisor: CommandSupervisor, reasons: Mapping[Reason, int]) -> DiagnosticStatus:
    """Return the supervisor's state and cause; `reasons` counts how often each held in the last DIAGNOSTICS_PERIOD."""
    state = supervisor.state
    rates: Values = [
        (f"{reason.name} [1/s]".lower(), n / DIAGNOSTICS_PERIOD) for reason, n in reasons.items() if n and reason.name
    ]
    level = {
        State.ACTIVE: DiagnosticStatus.OK,
        State.HOLD: DiagnosticStatus.OK,
        State.RAMP_IN: DiagnosticStatus.OK,
        State.DEGRADED: DiagnosticStatus.WARN,
    }.get(state, DiagnosticStatus.ERROR)
    return part_status(
        f"{name}: supervisor",
        level,
        state.name.lower().replace("_", " "),
        [("cause", supervisor.cause.name or "none"), *rates],
    )


def model_status(name: str, controller: Controller, prediction: PredictionQuality, excited: int) -> DiagnosticStatus:
    """Return what is known of the model: how well it predicts, its consistency, the delay, and what moves to learn."""
    values: Values = [
        ("NIS within its 95 % bound", prediction.coverage),
        ("velocity error over no change", prediction.normalised_error),
        ("joints excited", excited),
    ]
    problems = ["innovations outside their bounds"] if prediction.coverage < 0.5 else []
    dynamics, delay = controller.dynamics, controller.delay
    if dynamics is not None:
        consistency, settings = dynamics.consistency, dynamics.consistency_settings
        values += [
            ("consistency [0..1]", consistency.level),
            ("mean NIS over its bound", consistency.ratio),
            ("weight of the prior", consistency.prior_weight(settings)),
            ("command limits over normal", consistency.command_scale(settings)),
            ("held", consistency.hold),
        ]
        if consistency.level < 0.5:
            problems.append("the model is not consistent with what is measured")
    if delay is not None:
        values += [
            ("delay configured [ticks]", float(delay.configured)),
            ("delay in use [ticks]", float(delay.in_use)),
            ("standard deviation of the delay [ms]", 1e3 * delay.std),
        ]
        if delay.estimate is not None:
            values += [
                ("delay estimated [ticks]", float(delay.estimate.ticks)),
                ("delay confidence", float(delay.estimate.confidence)),
            ]
        if delay.message:
            problems.append(delay.message)
    level = DiagnosticStatus.WARN if problems else DiagnosticStatus.OK
    return part_status(f"{name}: model", level, "; ".join(problems) or "consistent", values)


def input_status(name: str, gate: InputGate) -> DiagnosticStatus:
    """Return how many messages of an input stream were accepted and rejected, and why."""
    rejected = sum(gate.rejected.values())
    values: Values = [("accepted", gate.accepted), ("restarts", gate.restarts), ("clock", gate.clock)]
    for done, counts in (("rejected", gate.rejected), ("corrected", gate.corrected)):
        for what, count in sorted(counts.items()):
            values += [(f"{done}: {what}", count), (f"last {what}", gate.details[what])]
    level = DiagnosticStatus.WARN if rejected or gate.silent else DiagnosticStatus.OK
    silent = f"; no position of {', '.join(gate.silent)} comes any more" if gate.silent else ""
    return part_status(f"{name}: {gate.stream}", level, f"{rejected} rejected{silent}", values)


def target_status(name: str, targets: TargetOutcomes) -> DiagnosticStatus:
    """Return how many targets were accepted and refused, and why; jogs, too, and why they were slowed down."""
    without_effect, details = targets.without_effect, {**targets.details, **targets.jogs.details}
    refused = sum(without_effect.values())
    values: Values = [("accepted", targets.accepted), ("trajectories not made as asked", targets.adapted)]
    values += [("farthest joint from its reference [rad or m]", targets.posture_error), *targets.jogs.report()]
    for kind, count in sorted(without_effect.items()):
        values += [(f"refused: {kind}", count), (f"last {kind}", details[kind])]
    level = DiagnosticStatus.WARN if refused else DiagnosticStatus.OK
    return part_status(f"{name}: targets", level, f"{refused} refused", values)


def command_status(name: str, watch: CommandWatch) -> DiagnosticStatus:
    """Return who reads the commands, who else publishes them, and whether they can leave."""
    level = DiagnosticStatus.WARN if watch.problems else DiagnosticStatus.OK
    text = "; ".join(sorted(watch.problems)) or "one publisher"
    return part_status(name + COMMANDS_PART, level, text, [("readers", watch.readers), (READY, watch.ready)])


def _timeliness(loop: ControlLoop, settings: NodeSettings) -> tuple[bytes, str]:
    """Return (level, text) of how well the ticks keep their time."""
    if not loop.statistics.ticks:
        return DiagnosticStatus.STALE, "no state has arrived yet"
    share = loop.statistics.compute.percentiles()["p99"] / loop.dt
    missed = loop.statistics.recent_misses.mean()
    if loop.age.late:
        return DiagnosticStatus.ERROR if loop.age.held else DiagnosticStatus.WARN, (
            f"this machine answers late: the commands that act are {1e3 * loop.age.mean:.1f} ms older than the "
            f"delay that is compensated{'; the arm is held' if loop.age.held else ''}; lower control.rate or end other "
            "programs that use the processors"
        )
    if share > 1.0 or missed > 10.0 * settings.missed_warning:
        level = DiagnosticStatus.ERROR
    elif share > settings.compute_warning or missed > settings.missed_warning:
        level = DiagnosticStatus.WARN
    else:
        return DiagnosticStatus.OK, "in time"
    if share > settings.compute_warning:
        return level, (
            f"99 % of the ticks need up to {100.0 * share:.0f} % of their period; lower control.rate, "
            "planner.horizon or planner.iterations"
        )
    return level, f"{100.0 * missed:.2g} % of the last ticks had no state; is the robot's publisher in time?"


def _percentiles(title: str, values: Rolling) -> Values:
    return [(f"{title} {key} [ms]", 1e3 * value) for key, value in values.percentiles().items()]


def part_status(name: str, level: bytes, text: str, values: Iterable[tuple[str, object]]) -> DiagnosticStatus:
    """Return a status of the diagnostics; numbers are written with six digits."""
    return DiagnosticStatus(
        name=name,
        level=level,
        message=text,
        values=[
            KeyValue(key=key, value=f"{value:.6g}" if isinstance(value, float) else str(value)) for key, value in values
        ],
    )
