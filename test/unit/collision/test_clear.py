"""Many postures at once: the same distances as one after the other, and which of them are clear."""

import numpy as np
import pytest

from mbrl_ros.collision.build import build_scene
from mbrl_ros.collision.clear import ClearPostures
from mbrl_ros.collision.pairs import postures
from mbrl_ros.config.sections.collision import CollisionSettings
from support.robots import planar_robot

OBSTACLES = {"planes": ("floor 0 0 2 -1.0",), "boxes": ("crate 0.9 0 0.4  0.1 0.2 0.3  0.3 0.4 0.5",)}


@pytest.mark.parametrize("obstacles", [{}, OBSTACLES], ids=["alone", "with obstacles"])
@pytest.mark.parametrize(("clearance", "own"), [(0.0, 0.0), (0.05, 0.02), (0.3, 0.01)])
def test_what_is_clear_agrees_with_the_distances(obstacles, clearance, own):
    robot = planar_robot(4, effort=60.0)
    scene = build_scene(robot, CollisionSettings(**obstacles, samples=200)).scene
    Q = postures(robot, 200, 1)
    d, pairs = scene.sampled(Q), len(scene.pairs)
    np.testing.assert_array_equal(d, np.array([scene.values(q) for q in Q]).reshape(d.shape))
    clear = (d[:, :pairs] >= own).all(axis=1) & (d[:, pairs:] >= clearance).all(axis=1)
    assert not obstacles or 0.0 < clear.mean() < 1.0
    np.testing.assert_array_equal(ClearPostures(scene, clearance, own)(Q), clear)
