"""Cells of the bench of robots that failed once: each is run as the bench runs it."""

import pytest

from support.needs import needs, present

if present("mujoco"):
    from mbrl_ros.bench.robots import run

pytestmark = needs("mujoco", "adam", "example-robot-data")


@pytest.mark.slow(but=1)
@pytest.mark.parametrize(
    ("arm", "condition", "seed", "rest"),
    (
        ("ur3", "nominal", 11, 1.0),  # near a singular posture: 17.3 mm
        ("so100", "diffvel", 10, 2.0),
        ("kinova", "lag20", 10, 1.0),  # lost in the first hold
        ("ur5", "uneven10", 51, 1.0),  # held by the monitor on the way to the second target
    ),
)
def test_every_target_is_reached_and_the_arm_rests_there(arm, condition, seed, rest):
    found = run.run(run.Task(arm, "effort", condition, "mpc", seed))
    assert found["reached"] == found["targets"] == 2 and not found["lost"] and found["outside_limits"] == 0
    assert found["rest_mm"] < rest and found["sag_mm"] < 30.0 and found["speed_fraction"] < 0.95
