"""Rotations against scipy, also next to half a turn and to none."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mbrl_ros.robots.rotation import inverse_left_jacobian, logarithm, matrix_of, quaternion_of


def rotations(count: int, seed: int) -> list[np.ndarray]:
    """Return rotations by angles that are drawn, tiny, and next to half a turn."""
    rng, found = np.random.default_rng(seed), []
    for k in range(count):
        axis = rng.standard_normal(3)
        angle = (rng.uniform(0.0, np.pi), 10.0 ** rng.uniform(-12, -3), np.pi - 10.0 ** rng.uniform(-9, -2))[k % 3]
        found.append(angle * axis / np.linalg.norm(axis))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_the_logarithm_and_the_quaternion_are_scipys(seed):
    for e in rotations(200, seed):
        R = Rotation.from_rotvec(e).as_matrix()
        np.testing.assert_allclose(Rotation.from_rotvec(logarithm(R)).as_matrix(), R, atol=1e-13)
        if np.linalg.norm(e) < 3.1:
            np.testing.assert_allclose(logarithm(R), e, atol=1e-12)
        q = quaternion_of(R)
        assert np.linalg.norm(q) == pytest.approx(1.0, abs=1e-15) and q[3] >= 0.0
        np.testing.assert_allclose(matrix_of(q), R, atol=1e-14)


@pytest.mark.parametrize("axis", np.vstack((np.eye(3), -np.eye(3), np.ones(3) / np.sqrt(3.0))))
def test_half_a_turn_about_each_axis(axis):
    e = logarithm(Rotation.from_rotvec(np.pi * axis).as_matrix())
    assert np.linalg.norm(e) == pytest.approx(np.pi, abs=1e-12)
    assert abs(e @ axis) == pytest.approx(np.pi, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_inverse_left_jacobian_is_the_derivative_of_the_logarithm(seed):
    h = 1e-6
    for e in rotations(30, seed):
        if np.linalg.norm(e) > 3.13:  # the logarithm leaps at half a turn
            continue
        R, found = Rotation.from_rotvec(e).as_matrix(), inverse_left_jacobian(e)
        for j in range(3):
            w = h * np.eye(3)[j]
            ahead, back = (logarithm(Rotation.from_rotvec(s * w).as_matrix() @ R) for s in (1.0, -1.0))
            np.testing.assert_allclose(found[:, j], (ahead - back) / (2.0 * h), atol=1e-7)
