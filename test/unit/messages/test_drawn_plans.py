"""What is drawn of a plan, written and read again."""

from types import SimpleNamespace as Fields

import numpy as np
import pytest

from mbrl_ros.messages.drawn_plan import read_plan
from mbrl_ros.planners.tube import half_axes
from support.needs import needs

PATH = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]])


def covariances(seed=0):
    A = np.random.default_rng(seed).normal(size=(3, 3, 3))
    return 1e-4 * A @ A.transpose(0, 2, 1)


def test_half_axes_are_two_standard_deviations_of_each_principal_direction():
    S = covariances()
    axes = half_axes(S)
    np.testing.assert_allclose(axes @ axes.transpose(0, 2, 1), 4.0 * S, atol=1e-14)
    assert (np.linalg.det(axes) > 0.0).all()  # right-handed: a rotation times lengths
    assert np.isnan(half_axes(np.full((1, 3, 3), np.nan))).all()
    assert np.array_equal(half_axes(np.zeros((1, 3, 3))), np.zeros((1, 3, 3)))


@needs("rclpy")
def test_path_target_and_tube_are_read_as_they_were_written():
    from builtin_interfaces.msg import Time

    from mbrl_ros.nodes.markers import PlanMarkers

    S, markers = covariances(), PlanMarkers("base")
    stamp, drawn = read_plan(markers.at(PATH, PATH[0], Time(sec=3, nanosec=5 * 10**8), half_axes(S)))
    assert stamp == pytest.approx(3.5) and np.array_equal(drawn.path, PATH) and np.array_equal(drawn.target, PATH[0])
    np.testing.assert_allclose(drawn.tube @ drawn.tube.transpose(0, 2, 1), 4.0 * S, atol=1e-12)
    known = read_plan(markers.at(PATH, None, Time(), np.zeros((3, 3, 3))))[1]  # drawn as points
    assert known.target is None and np.abs(known.tube).max() < 1e-4
    for axes in (None, np.full((3, 3, 3), np.nan)):
        assert read_plan(markers.at(PATH, None, Time(), axes))[1].tube is None


def marker(ns, action=0, points=(), place=(0.0, 0.0, 0.0), turned=(0.0, 0.0, 0.0, 1.0)):
    p, o = Fields(**dict(zip("xyz", place, strict=True))), Fields(**dict(zip("xyzw", turned, strict=True)))
    points = [Fields(**dict(zip("xyz", point, strict=True))) for point in points]
    header = Fields(stamp=Fields(sec=1, nanosec=0))
    scale = Fields(x=1.0, y=1.0, z=1.0)
    return Fields(
        ns=ns, action=action, points=points, pose=Fields(position=p, orientation=o), header=header, scale=scale
    )


@pytest.mark.parametrize(
    "markers",
    (
        [],
        [marker("plan")],
        [marker("plan", points=[(np.nan, 0.0, 0.0)]), marker("tube")],
        [marker("target", place=(np.inf, 0.0, 0.0)), marker("target", action=2)],
        [marker("plan", points=[(0.0, 0.0, 0.0)]), marker("tube", turned=(0.0, 0.0, 0.0, 0.0))],
        [marker("plan", points=[(0.0, 0.0, 0.0)]), marker("tube"), marker("tube")],  # more ellipsoids than points
    ),
)
def test_what_is_not_finite_or_does_not_fit_is_not_drawn(markers):
    drawn = read_plan(Fields(markers=markers))[1]
    assert drawn.tube is None and drawn.target is None
