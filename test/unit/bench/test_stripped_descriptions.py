"""In the conditions `noinertials...` the controller's URDF has no masses, and the plant has them all."""

from mbrl_ros.bench.robots.arms import ARMS
from mbrl_ros.bench.robots.case import prepare
from mbrl_ros.bench.robots.conditions import CONDITIONS
from mbrl_ros.robots.bodies import bodies_of
from mbrl_ros.robots.effective_inertia import EffectiveInertia
from mbrl_ros.robots.inertia import has_inertials
from support.needs import needs

pytestmark = needs("mujoco", "example-robot-data")


def test_the_controller_is_told_nothing_of_the_masses():
    case = prepare(ARMS["so100"], CONDITIONS["noinertials"], 1, 1)
    known = prepare(ARMS["so100"], CONDITIONS["nominal"], 1, 1)
    assert not has_inertials(case.robot) and bodies_of(case.robot).mass.sum() == 0.0
    assert EffectiveInertia(case.robot).guessed and not EffectiveInertia(known.robot).guessed
    q = case.course.start
    assert (case.plant.holding_effort(q) == known.plant.holding_effort(q)).all()
    assert (case.course.targets == known.course.targets).all()
