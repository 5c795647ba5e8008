"""The moments of a run of the demo that its film shows."""

from types import SimpleNamespace as Fields

import numpy as np
import pytest

from mbrl_ros.demo.film import OLDEST_PLAN, RunMoments
from mbrl_ros.demo.run import START_STAMP
from mbrl_ros.messages.drawn_plan import DrawnPlan
from mbrl_ros.scenarios.scenario import Scenario, Slot
from support.robots import planar_robot

POINT, POSE = np.array([0.4, 0.0, 0.2]), np.array([0.1, 0.2, 0.3, 0.0, 0.0, 0.0, 1.0])


@pytest.fixture
def moments():
    slots = (
        Slot("point", 0.5, 1.0, POINT),
        Slot("pose", 1.0, 1.5, POSE),
        Slot("features", 1.5, 2.0, np.array([0.5, 0.5])),
    )
    scenario = Scenario(0, 2.0, slots, payload_kg=1.5, payload_time=0.8)
    stamps = 0.005 * np.arange(400)
    tip = POINT + 0.01 * (1.0 - stamps[:, None]) * [1.0, 0.0, 0.0]
    truth = {"stamp": stamps, "q": np.stack([stamps, -stamps], axis=1), "tip": tip}
    numbers = {key: np.zeros(400) for key in ("latency_ms", "compute_ms", "nis", "nis_bound", "missed")}
    control = {"stamp": stamps[2:], "state": np.full(398, 2), **{key: column[2:] for key, column in numbers.items()}}
    path = np.ones((3, 3))
    plans = [(START_STAMP + 0.6, DrawnPlan(2.0 * path, None, None)), (START_STAMP + 0.1, DrawnPlan(path, None, None))]
    demo = Fields(robot=planar_robot(2), scenario=scenario, options=Fields(config=Fields(stem="arm"), mode="lockstep"))
    return RunMoments(demo, truth, control, plans)


def test_a_moment_is_what_was_true_then(moments):
    shot = moments.at(0.9)
    assert shot.positions == pytest.approx({"joint1": 0.9, "joint2": -0.9})
    assert np.array_equal(shot.target, POINT) and shot.messages == ("target 1/1 +1.5 kg",)
    assert shot.supervisor == "ACTIVE" and shot.path[0, 0] == 2.0
    assert shot.curves["distance"][-1] == pytest.approx(1.0, abs=0.35)  # [mm]; a point each 33 ms
    assert np.isnan(shot.curves["distance"][shot.curves["time"] < 0.5]).all()  # there was no target


def test_targets_without_a_place_and_plans_that_are_old_are_not_shown(moments):
    assert np.array_equal(moments.at(1.2).target, POSE[:3]) and moments.at(1.7).target is None
    assert moments.at(0.05).path is None and moments.at(0.2).path[0, 0] == 1.0
    assert moments.at(0.6 + OLDEST_PLAN + 0.01).path is None
    assert moments.at(0.0).status == {} and moments.at(0.0).supervisor == ""  # before the first tick
