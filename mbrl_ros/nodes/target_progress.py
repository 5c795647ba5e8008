"""~/target_progress: where the present target is, and what became of it; the outcome also in words on ~/message.

A flat Float64MultiArray as ~/status: layout.dim[0].label names the version, layout.dim[1:] the fields.
"""

from __future__ import annotations

import math

from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Float64MultiArray, MultiArrayDimension, MultiArrayLayout

from ..robots.pose_kinematics import PoseKinematics
from ..runtime.control_loop import ControlLoop
from ..runtime.interfaces import Tick
from ..runtime.target_judge import Outcome, Report, Situation, TargetJudge
from . import qos
from .reporter import Reporter
from .status import TARGET_KINDS
from .target_outcomes import TargetOutcomes
from .tick_observer import TickObserver

PROGRESS_VERSION = "mbrl_ros/target_progress/1"
PROGRESS_FIELDS = {
    "stamp": "of the state that was judged [s]",
    "target": "counts the targets that have begun, since configuration",
    "target_stamp": "stamp of the target's header; 0: it had none [s]",
    "target_kind": "as in ~/status",
    "outcome": "0 on the way, 1 reached, 2 missed, 3 replaced, 4 given up, 5 supervisor, 6 stopped, 7 deactivated",
    "elapsed": "since it began [s]",
    "time_left": "until its reference comes to rest [s]; infinite while that is unknown",
    "distance": "from the end effector to the target [m]; NaN: the target has no point",
    "angle": "from the tool's orientation to the target's, about the axes that count [rad]; NaN: it has none",
    "joint_distance": "largest error of a joint [rad or m]; NaN: it is no target for joints",
    "trust": "consistency of the model with the data, 0 to 1; NaN: nothing is learned",
}
_PROGRESS_LAYOUT = MultiArrayLayout(
    dim=[
        MultiArrayDimension(label=PROGRESS_VERSION, size=len(PROGRESS_FIELDS), stride=len(PROGRESS_FIELDS)),
        *(MultiArrayDimension(label=name, size=1, stride=1) for name in PROGRESS_FIELDS),
    ]
)
OUTCOME_TEXTS = {  # what is said of a target on ~/message
    Outcome.REACHED: "target reached",
    Outcome.MISSED: "target missed",
    Outcome.GIVEN_UP: "target given up",
    Outcome.TAKEN_OVER: "target not reached",
    Outcome.STOPPED: "target not reached",
    Outcome.DEACTIVATED: "target not reached",
}


class TargetProgress(TickObserver):
    """Publish where the target is at up to `rate` [Hz] by the stamps of states; 0: never."""

    def __init__(
        self, node: LifecycleNode, loop: ControlLoop, outcomes: TargetOutcomes, reporter: Reporter, rate: float
    ):
        self._node, self._loop, self._outcomes, self._reporter, self._rate = node, loop, outcomes, reporter, rate
        weights = loop.controller.configuration.reference.rotation_weights
        self._judge = TargetJudge(PoseKinematics(loop.controller.robot, weights))
        self._publisher = node.create_publisher(Float64MultiArray, "~/target_progress", qos.TARGET_QOS)
        self._next = -math.inf

    def begin(self) -> None:
        """Start: the first tick is judged."""
        self._next = -math.inf

    def after_tick(self, tick: Tick) -> None:
        """Judge the target, if it is time to."""
        stamp = tick.observation.stamp
        period = 1.0 / self._rate if self._rate else math.inf
        if self._next - period <= stamp < self._next or not self._rate:  # stamps that leap back begin anew
            return
        self._next = stamp + period
        controller = self._loop.controller
        target = controller.target
        now = Situation(
            tick.observation,
            target,
            controller.reference_end,
            controller.uncontrolled,
            tick.command.state,
            self._loop.supervisor.cause,
            self._outcomes.last_note,
        )
        for report in self._judge.judge(now, controller.configuration.action):
            self._tell(report)

    def end(self) -> None:
        """Tell that the target will not be reached: the node is not active any more."""
        for report in self._judge.end():
            self._tell(report)

    def destroy(self) -> None:
        """Release the publisher."""
        self._node.destroy_publisher(self._publisher)

    def _tell(self, report: Report) -> None:
        dynamics, target = self._loop.controller.dynamics, report.target
        values = [
            report.stamp,
            float(report.number),
            target.stamp,
            TARGET_KINDS.get(target.kind, math.nan),
            float(report.outcome),
            report.elapsed,
            report.time_left,
            report.distance,
            report.angle,
            report.joints,
            math.nan if dynamics is None else float(dynamics.consistency.level),
        ]
        self._publisher.publish(Float64MultiArray(layout=_PROGRESS_LAYOUT, data=values))
        if report.outcome in OUTCOME_TEXTS:
            done = report.outcome is Outcome.REACHED
            self._reporter.report(f"{OUTCOME_TEXTS[report.outcome]}: {target.kind}: {report.text}", done)
