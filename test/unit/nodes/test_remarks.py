"""What a controller remarks of a tick is reported once."""

from types import SimpleNamespace as Fields

import numpy as np

from mbrl_ros.types import Decision, DecisionStatus
from support.needs import needs, present

if present("rclpy"):
    from mbrl_ros.nodes.remarks import Remarks

pytestmark = needs("rclpy")


def test_every_remark_of_a_decision_is_reported_and_a_tick_without_a_decision_is_silent():
    reported = []
    remarks = Remarks(Fields(report=reported.append))
    decision = Decision(1.0, np.zeros(2), DecisionStatus.OK, remarks=("it begins", "it ends"))
    for one in (decision, None, Decision(2.0, np.zeros(2), DecisionStatus.OK)):
        remarks.after_tick(Fields(decision=one))
    assert reported == ["it begins", "it ends"]
