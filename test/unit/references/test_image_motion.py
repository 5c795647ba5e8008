"""How a target in the image moves the joints: no faster than a reference may."""

import numpy as np
import pytest

from mbrl_ros.config.sections.dynamics import FeatureSettings
from mbrl_ros.config.sections.references import ReferenceSettings
from mbrl_ros.references.image_motion import SLOWEST_IMAGE, excitation, feature_share, least_amplitude
from mbrl_ros.references.target_manager import TargetManager
from support.robots import planar_robot

SETTINGS = ReferenceSettings(feature_speed=0.4, velocity_fraction=0.5)
TIMES = np.arange(0.0, 6.0, 0.001)


@pytest.mark.parametrize(("velocity", "slowed"), [(3.0, False), (0.2, True)])
def test_the_excitation_keeps_slow_joints_below_their_share_of_the_limit(velocity, slowed):
    waves = excitation(planar_robot(3, velocity=velocity), SETTINGS, TIMES)
    speed = np.abs(np.diff(waves, axis=0)).max(axis=0) / 0.001
    assert (speed <= 1.05 * SETTINGS.velocity_fraction * velocity).all()
    assert (np.abs(waves).max(axis=0) < 0.9 * SETTINGS.excitation_amplitude).all() == slowed


@pytest.mark.parametrize("noise", (0.002, 0.004, 0.016))
def test_the_smallest_excitation_follows_from_the_noise_and_grows_to_that_of_the_settings(noise):
    robot, least = planar_robot(3), least_amplitude(FeatureSettings(noise=noise))
    assert least == pytest.approx(noise / 0.004 * least_amplitude(FeatureSettings(noise=0.004)))
    waves = excitation(robot, SETTINGS, TIMES, least)
    first, last = np.abs(waves[TIMES < 0.5]).max(), np.abs(waves[TIMES > 5.0]).max()
    assert first <= np.e * least and first < 0.5 * SETTINGS.excitation_amplitude
    assert last <= SETTINGS.excitation_amplitude * 1.001 and last > first
    speed = np.abs(np.diff(waves, axis=0)).max(axis=0) / 0.001
    assert (speed <= 1.05 * SETTINGS.velocity_fraction * 3.0).all()


def test_a_way_in_the_image_is_slowed_down_until_no_joint_is_too_fast():
    """One joint moves one coordinate by 2 half-widths per radian: 0.8 half-widths/s ask for 0.4 rad/s."""
    G = np.array([[2.0, 0.0], [0.0, 2.0]])
    way = np.array([0.3, 0.0])
    assert feature_share(planar_robot(2, velocity=3.0), SETTINGS, G, way) == 1.0
    assert feature_share(planar_robot(2, velocity=0.4), SETTINGS, G, way) == pytest.approx(0.5)
    assert feature_share(planar_robot(2, velocity=0.4), SETTINGS, G, np.zeros(2)) == 1.0


def test_the_joints_share_a_way_in_proportion_to_their_limits():
    G, way = np.array([[2.0, 2.0]]), np.array([0.3])
    assert feature_share(planar_robot(2, velocity=0.2), SETTINGS, G, way) == pytest.approx(0.5)


def test_directions_that_no_joint_moves_do_not_count_and_no_way_is_without_end():
    flat = np.array([[2.0, 0.0], [0.0, 0.0]])
    assert feature_share(planar_robot(2, velocity=0.4), SETTINGS, flat, np.array([0.3, 0.3])) == pytest.approx(0.5)
    assert feature_share(planar_robot(2, velocity=0.4), SETTINGS, 1e-4 * np.eye(2), np.ones(2)) == SLOWEST_IMAGE


def test_the_reference_of_a_slow_arm_takes_longer():
    ends = []
    for velocity in (3.0, 0.1):
        manager = TargetManager(planar_robot(2, velocity=velocity), SETTINGS, 0.005, m=2)
        manager.reset(np.zeros(2), 0.0)
        manager.set_feature_target([0.4, 0.0])
        x = np.zeros(8)
        manager.advance(0.0, x, fresh=True)
        manager.advance(1.0, x, fresh=True, jacobian=2.0 * np.eye(2))
        ends.append(manager.end - 1.0)
        manager.limit_speed(0.5)
        manager.limit_speed(1.0)
        assert manager.features.motion_at(1.3)[1][0] <= 0.8
    # 0.2 rad: 0.4 half-widths at 0.8 per second, and at the 0.05 rad/s that the slow joint may have
    assert ends[0] < 1.2 and 4.0 < ends[1] < 5.0
