"""What mpc_node says of itself: the status of every tick, diagnostics once a second, and the rows of its log.

The status is a flat Float64MultiArray so that any plotting tool reads it; layout.dim[0].label names the layout's
version, and layout.dim[1:] the fields in the order of `data`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from std_msgs.msg import Float64MultiArray, MultiArrayDimension, MultiArrayLayout

from ..config.sections.nodes import NodeSettings
from ..messages.input_gate import InputGate
from ..runtime.control_loop import ControlLoop, Tick
from ..runtime.statistics import Rolling
from ..safety.state_machine import Reason, State
from ..types import Array, Decision, Observation

VERSION = "mbrl_ros/status/1"
NO_DECISION = -1.0
TARGET_KINDS = {"joints": 0.0, "point": 1.0, "features": 2.0}
FIELDS = {
    "stamp": "stamp of the state the command answers [s]",
    "tick": "ticks since activation",
    "decision_status": "types.DecisionStatus; -1: no decision was made",
    "supervisor_state": "supervisor.State",
    "supervisor_reasons": "supervisor.Reason, a sum of flags",
    "compute_ms": "from the start of the tick until its command was published [ms]",
    "latency_ms": "from the arrival of the state until its command was published [ms]",
    "period_ms": "between this command and the one before [ms]",
    "missed": "ticks missed since activation",
    "nis": "normalised squared innovation of the last transition; NaN: there was none",
    "nis_bound": "its 95 % bound",
    "planner_status": "types.PlanStatus; -1: no plan",
    "planner_iterations": "iterations of the last plan",
    "cost": "cost of the plan",
    "reference_end": "when the present target's reference comes to rest [s]",
    "target_kind": "0 joints, 1 end-effector point, 2 features",
    "target_stamp": "from when on the present target holds [s]",
    "rejected": "inputs rejected since activation",
    "number": "number of the command, counted from 1 since configuration; commands between ticks count too",
    "late": "periods by which the command came too late for its state; it is taken to act whole ones later",
    "frame": "stamp of the newest image features used until then [s]; NaN: none",
    "targets": "targets accepted before the command",
}
_LAYOUT = MultiArrayLayout(
    dim=[
        MultiArrayDimension(label=VERSION, size=len(FIELDS), stride=len(FIELDS)),
        *(MultiArrayDimension(label=name, size=1, stride=1) for name in FIELDS),
    ]
)


def status_values(tick: Tick, controller: Any, rejected: int) -> list[float]:
    """The values of FIELDS, in their order."""
    decision, target = tick.decision, controller.target
    plan = decision.plan if decision is not None else None
    return [
        tick.observation.stamp,
        float(tick.index),
        NO_DECISION if decision is None else float(decision.status),
        float(tick.command.state),
        float(tick.command.reasons),
        1e3 * tick.compute,
        1e3 * tick.latency,
        1e3 * tick.period,
        float(tick.missed),
        math.nan if decision is None else float(decision.nis),
        float(controller.nis_bound),
        NO_DECISION if plan is None else float(plan.status),
        0.0 if plan is None else float(plan.iterations),
        math.nan if plan is None else float(plan.cost),
        float(controller.reference_end),
        math.nan if target is None else TARGET_KINDS[target.kind],
        math.nan if target is None else float(target.stamp),
        float(rejected),
        float(tick.number),
        float(tick.late),
        tick.frame,
        float(tick.targets),
    ]


def to_status(values: list[float]) -> Float64MultiArray:
    return Float64MultiArray(layout=_LAYOUT, data=values)


def read_status(message: Float64MultiArray) -> dict[str, float]:
    """{field: value}; ValueError if the message has another layout."""
    labels = [dim.label for dim in message.layout.dim]
    if labels[:1] != [VERSION] or len(labels) != len(message.data) + 1:
        raise ValueError(f"not a {VERSION} message: {labels[:1]}, {len(message.data)} values")
    return dict(zip(labels[1:], message.data))


class Prediction:
    """How well, lately, one tick was predicted: the share of NIS within their 95 % bound (0.95 for a model that knows
    how wrong it is), and the squared error of the velocities over that of "no change".
    """

    def __init__(self, memory: float = 1000.0):
        self._forgetting = 1.0 - 1.0 / memory
        self._count = self._inside = self._error = self._change = 0.0
        self._last: Array | None = None

    def add(self, observation: Observation, decision: Decision, bound: float) -> None:
        last, self._last = self._last, observation.qd
        if decision.innovation is None or last is None:
            return
        change = observation.qd - last
        for name, value in (
            ("_count", 1.0),
            ("_inside", float(decision.nis <= bound)),
            ("_error", float(decision.innovation @ decision.innovation)),
            ("_change", float(change @ change)),
        ):
            setattr(self, name, self._forgetting * getattr(self, name) + value)

    @property
    def coverage(self) -> float:
        return self._inside / self._count if self._count else math.nan

    @property
    def normalised_error(self) -> float:
        return self._error / self._change if self._change else math.nan


def statuses(
    name: str,
    loop: ControlLoop,
    gates: Iterable[InputGate],
    prediction: Prediction,
    settings: NodeSettings,
    reasons: Mapping[Reason, int],
    seconds: float,
) -> Iterator[DiagnosticStatus]:
    """The node's diagnostics, one part at a time: a tick has time for one. `seconds` since the last ones, `reasons` how
    often each reason held since then.
    """
    yield _status(
        f"{name}: control loop",
        *_timeliness(loop, settings),
        [
            ("rate [Hz]", 1.0 / loop.period.mean() if loop.period.count else 0.0),
            ("ticks", loop.ticks),
            ("missed ticks", loop.missed),
            ("age of the acting command beyond the delay [ms]", 1e3 * loop.age.mean),
            ("authority [0..1]", loop.age.authority),
            *_quantiles("period", loop.period),
            *_quantiles("compute", loop.compute),
            *_quantiles("latency", loop.latency),
            *sorted(loop.events.items()),
        ],
    )
    state = loop.supervisor.state
    held = [(f"{reason.name.lower()} [1/s]", count / seconds) for reason, count in reasons.items() if count]
    level = {
        State.ACTIVE: DiagnosticStatus.OK,
        State.HOLD: DiagnosticStatus.OK,
        State.RAMP_IN: DiagnosticStatus.OK,
        State.DEGRADED: DiagnosticStatus.WARN,
    }.get(state, DiagnosticStatus.ERROR)
    yield _status(
        f"{name}: supervisor",
        level,
        state.name.lower().replace("_", " "),
        [("cause", loop.supervisor.cause.name or "none"), *held],
    )
    yield _model(name, loop.controller, prediction)
    for gate in gates:
        rejected = sum(gate.rejected.values())
        values = [("accepted", gate.accepted), ("restarts", gate.restarts), ("clock", gate.clock)]
        for reason, count in sorted(gate.rejected.items()):
            values += [(f"rejected: {reason}", count), (f"last {reason}", gate.details[reason])]
        yield _status(
            f"{name}: {gate.stream}",
            DiagnosticStatus.WARN if rejected else DiagnosticStatus.OK,
            f"{rejected} rejected" if rejected else "fine",
            values,
        )


def _quantiles(title: str, values: Rolling) -> list[tuple[str, float]]:
    return [(f"{title} {key} [ms]", 1e3 * value) for key, value in values.percentiles().items()]


def _model(name: str, controller: Any, prediction: Prediction) -> DiagnosticStatus:
    """What is known of the model: how well it predicts, how far it is trusted, and the delay."""
    values = [
        ("NIS within its 95 % bound", prediction.coverage),
        ("velocity error over no change", prediction.normalised_error),
    ]
    problems = ["innovations outside their bounds"] if prediction.coverage < 0.5 else []
    dynamics, delay = getattr(controller, "dynamics", None), getattr(controller, "delay", None)
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
            problems.append("the model is in doubt")
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
    return _status(
        f"{name}: model",
        DiagnosticStatus.WARN if problems else DiagnosticStatus.OK,
        "; ".join(problems) or "trusted",
        values,
    )


def _timeliness(loop: ControlLoop, settings: NodeSettings) -> tuple[bytes, str]:
    """(level, text) of how well the ticks keep their time."""
    if not loop.ticks:
        return DiagnosticStatus.STALE, "no state has arrived yet"
    share = loop.compute.percentiles()["p99"] / loop.dt
    missed = loop.recent_misses.mean()
    if loop.age.late:
        return DiagnosticStatus.ERROR if loop.age.held else DiagnosticStatus.WARN, (
            f"this machine answers late: the commands that act are {1e3 * loop.age.mean:.1f} ms older than the delay that is "
            f"compensated{'; the arm is held' if loop.age.held else ''}; lower control.rate or end what else uses the processors"
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


def _status(name: str, level: bytes, text: str, values: Iterable[tuple[str, Any]]) -> DiagnosticStatus:
    return DiagnosticStatus(
        name=name,
        level=level,
        message=text,
        hardware_id="mbrl_ros",
        values=[
            KeyValue(key=key, value=f"{value:.6g}" if isinstance(value, float) else str(value)) for key, value in values
        ],
    )
