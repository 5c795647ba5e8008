"""The status message that mpc_node publishes after every tick.

It is a flat Float64MultiArray so that any plotting tool reads it; layout.dim[0].label names the version of the
layout, and layout.dim[1:] the fields in the order of `data`.
"""

from __future__ import annotations

import math

import numpy as np
from std_msgs.msg import Float64MultiArray, MultiArrayDimension, MultiArrayLayout

from ..controllers.base import Controller
from ..messages.flat import flat_fields
from ..runtime.interfaces import Tick

VERSION = "mbrl_ros/status/1"
NO_DECISION = -1.0
TARGET_KINDS = {"joints": 0.0, "point": 1.0, "features": 2.0, "pose": 3.0, "twist": 4.0, "velocities": 5.0}
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
    "target_kind": "0 joints, 1 end-effector point, 2 features, 3 pose, 4 twist, 5 joint velocities",
    "target_stamp": "from when on the present target holds [s]",
    "rejected": "inputs rejected since activation",
    "number": "number of the command, counted from 1 since configuration; commands between ticks count too",
    "late": "periods by which the command came too late for its state; it is taken to act whole ones later",
    "frame": "stamp of the newest image features used until then [s]; NaN: none",
    "targets": "targets accepted before the command",
    "posture_error": "largest distance of a joint from its reference [rad or m]; NaN: the target is in the image",
}
_LAYOUT = MultiArrayLayout(
    dim=[
        MultiArrayDimension(label=VERSION, size=len(FIELDS), stride=len(FIELDS)),
        *(MultiArrayDimension(label=name, size=1, stride=1) for name in FIELDS),
    ]
)


def status_values(tick: Tick, controller: Controller, rejected: int) -> list[float]:
    """Return the values of FIELDS, in their order; `rejected` is the number of rejected inputs."""
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
        posture_error(tick, controller),
    ]


def posture_error(tick: Tick, controller: Controller) -> float:
    """Return the largest distance [rad or m] of a joint from its reference; NaN where the posture is not planned."""
    target, observation = controller.target, tick.observation
    if target is None or target.kind == "features":
        return math.nan
    return float(np.abs(observation.q - controller.joint_reference(observation.stamp)).max())


def to_status(values: list[float]) -> Float64MultiArray:
    """Write the message of status_values()."""
    return Float64MultiArray(layout=_LAYOUT, data=values)


def read_status(message: Float64MultiArray) -> dict[str, float]:
    """Read a message as {field: value}; ValueError if it has another layout."""
    fields = flat_fields(message, VERSION)
    if fields is None:
        labels = [dim.label for dim in message.layout.dim]
        raise ValueError(f"not a {VERSION} message: {labels[:1]}, {len(message.data)} values")
    return fields
