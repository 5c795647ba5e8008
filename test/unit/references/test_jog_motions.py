"""Jogs: the tool goes where it is told, within every limit, comes to rest by itself, and bad ones have no effect."""

import dataclasses

import numpy as np
import pytest

from mbrl_ros.config.sections.references import ReferenceSettings
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.exceptions import TargetError
from mbrl_ros.references.target_manager import TargetManager
from mbrl_ros.references.targets import Target
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.frames import RobotFrames
from mbrl_ros.robots.pose_kinematics import PoseKinematics
from mbrl_ros.robots.rotation import logarithm
from support.packaged_robots import ARMS, packaged
from support.robots import lifted_arm, planar_robot

DT, BEGIN = 0.005, 100.0
ROUNDING = 1e-6  # of limits


class Jogged:
    """The references of a robot that rests at q; `send()` is called every `period` [s]."""

    def __init__(self, robot, q, **settings):
        self.robot, self.settings = robot, ReferenceSettings(**settings)
        self.manager = TargetManager(robot, self.settings, DT, horizon=4)
        self.manager.reset(np.array(q, dtype=float), BEGIN)
        self.kinematics, self.k = PoseKinematics(robot), 0
        self.samples = [self.manager.joints.motion_at(BEGIN)]

    @property
    def stamp(self) -> float:
        return BEGIN + self.k * DT

    def run(self, seconds: float, send=lambda: None, period: float = 0.02) -> np.ndarray:
        """Let time pass; return positions, velocities and accelerations (T, 3, n) of the reference."""
        first = len(self.samples)
        for i in range(round(seconds / DT)):
            if i % round(period / DT) == 0:
                send()
            self.manager.advance(self.stamp, np.concatenate((self.samples[-1][0], np.zeros(self.robot.n))))
            self.manager.preview(self.stamp + DT * np.arange(5))
            self.k += 1
            self.samples.append(self.manager.joints.motion_at(self.stamp))
        return np.array(self.samples[first:])

    def twist(self, *values, frame: str = "", stamp: float = 0.0):
        return lambda: self.manager.set_twist(np.array(values, dtype=float), frame, stamp)

    def velocities(self, *values, stamp: float = 0.0):
        return lambda: self.manager.set_velocities(np.array(values, dtype=float), stamp)

    def poses(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """p (T, 3) and how far it is turned (T,) [rad] against the first sample."""
        p, R = zip(*(self.kinematics.pose(row) for row in q), strict=True)
        return np.array(p), np.array([np.linalg.norm(logarithm(R[0].T @ turned)) for turned in R])

    def keeps_its_limits(self) -> bool:
        """Whether every sample since the beginning lies within the limits, jerk and the joints' range included."""
        q, qd, qdd = np.array(self.samples).transpose(1, 0, 2)
        robot, s, jerk = self.robot, self.settings, np.diff(qdd, axis=0) / DT
        return bool(
            (np.abs(qd) <= (1.0 + ROUNDING) * s.velocity_fraction * robot.velocity_limit).all()
            and (np.abs(qdd) <= (1.0 + ROUNDING) * s.acceleration_fraction * robot.acceleration_limit).all()
            and (np.abs(jerk) <= (1.0 + ROUNDING) * s.jerk_fraction * robot.jerk_limit).all()
            and (q >= robot.position_lower - ROUNDING).all()
            and (q <= robot.position_upper + ROUNDING).all()
        )


def panda(**settings) -> Jogged:
    return Jogged(packaged("panda"), ARMS["panda"][3], **settings)


@pytest.mark.parametrize("direction", [*np.eye(3), *-np.eye(3)])
def test_the_tool_goes_straight_at_the_speed_it_is_told_and_keeps_its_orientation(direction):
    arm = panda()
    q = arm.run(1.0, arm.twist(*(0.1 * direction), 0.0, 0.0, 0.0))[:, 0]
    p, turned = arm.poses(q)
    way = p - arm.kinematics.pose(np.array(ARMS["panda"][3]))[0]
    along = way @ direction
    assert np.linalg.norm(way - np.outer(along, direction), axis=1).max() < 1e-3 and turned.max() < 0.005
    assert np.diff(along[100:]) / DT == pytest.approx(0.1, rel=0.02)
    assert arm.keeps_its_limits()


def test_the_tool_turns_about_its_point():
    arm = panda()
    q = arm.run(1.0, arm.twist(0.0, 0.0, 0.0, 0.3, 0.0, 0.0))[:, 0]
    p, turned = arm.poses(q)
    assert np.ptp(p, axis=0).max() < 1e-3 and np.diff(turned[100:]) / DT == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("frame", ["panda_hand", "/panda_hand", "panda_link4"])
def test_a_twist_is_along_the_axes_of_the_link_that_it_names(frame):
    arm = panda()
    q = np.array(ARMS["panda"][3])
    positions = dict(zip(arm.robot.joints, q, strict=True))
    R = RobotFrames(arm.robot).moved(frame.removeprefix("/"), positions)[:3, :3]
    if frame.endswith("hand"):
        np.testing.assert_allclose(R, arm.kinematics.pose(q)[1], atol=1e-9)
    moved = arm.run(0.3, arm.twist(0.0, 0.0, 0.1, 0.0, 0.0, 0.0, frame=frame))[:, 0]
    way = arm.kinematics.pose(moved[-1])[0] - arm.kinematics.pose(q)[0]
    assert way @ R[:, 2] > 0.015 and np.linalg.norm(way - (way @ R[:, 2]) * R[:, 2]) < 1e-3


def test_joints_move_at_the_velocities_they_are_told_and_keep_their_proportions_above_the_limit():
    arm = Jogged(planar_robot(3), [0.2, 0.3, 0.1])
    samples = arm.run(0.5, arm.velocities(0.4, -0.2, 0.0))
    np.testing.assert_allclose(samples[-1, 1], [0.4, -0.2, 0.0], atol=1e-9)
    np.testing.assert_allclose(samples[-1, 0] - [0.2, 0.3, 0.1], [0.19, -0.095, 0.0], atol=0.02)
    samples = arm.run(0.5, arm.velocities(3.0, -1.0, 0.0))  # the limit of the robot: references use half of it
    np.testing.assert_allclose(samples[-1, 1], [1.5, -0.5, 0.0], atol=1e-6)
    assert arm.keeps_its_limits()


def test_the_arm_comes_smoothly_to_rest_when_no_message_follows():
    arm = Jogged(planar_robot(2), [0.5, 0.5], jog_timeout=0.1)
    arm.run(0.5, arm.velocities(1.0, -1.0))
    still_moving = arm.run(0.075)  # the last message came 20 ms before its end
    assert np.abs(still_moving[-1, 1]) == pytest.approx(1.0, abs=1e-6)
    end = arm.run(1.0)
    np.testing.assert_array_equal(end[-1, 1], 0.0)
    assert arm.keeps_its_limits() and arm.manager.target.kind == "joints" and not arm.manager.target.asked
    assert np.abs(end[62:, 1]).max() == 0.0  # 0.31 s later


@pytest.mark.parametrize("period", [0.1, 0.02, 0.005])
def test_a_motion_does_not_depend_on_how_often_the_same_velocity_comes(period):
    arm = Jogged(planar_robot(2), [0.5, 0.5])
    samples = arm.run(1.0, arm.velocities(0.5, -0.5), period)
    np.testing.assert_allclose(samples[-1, 0], [0.957, 0.043], atol=0.001)
    assert (np.abs(samples[60:, 2]) < 1e-9).all()


@pytest.mark.slow
def test_streams_that_change_at_random_keep_every_limit_and_the_joints_in_their_range():
    rng, robot = np.random.default_rng(0), packaged("panda")
    arm = Jogged(robot, ARMS["panda"][3])
    for _ in range(60):
        if rng.random() < 0.5:
            send = arm.twist(*rng.normal(size=6) * np.repeat([0.3, 1.0], 3), frame=rng.choice(["", "panda_hand"]))
        else:
            send = arm.velocities(*rng.uniform(-0.9, 0.9, 7) * robot.velocity_limit)
        arm.run(rng.uniform(0.05, 1.5), send, rng.choice([0.005, 0.02, 0.1]))
        if rng.random() < 0.3:
            arm.run(rng.uniform(0.0, 0.6))
        if rng.random() < 0.2:
            arm.manager.set_joint_target(rng.uniform(0.9 * robot.position_lower, 0.9 * robot.position_upper))
            arm.run(rng.uniform(0.0, 1.0))
    assert arm.keeps_its_limits()
    assert set(arm.manager.jogs.counts.slowed) == {"near a joint stop", "near a singular posture"}


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_joint_is_led_to_its_stop_without_a_jolt_and_away_again(sign):
    robot = planar_robot(2, velocity=2.0)
    arm = Jogged(robot, [0.0, 0.2])
    samples = arm.run(8.0, arm.velocities(sign, 0.0))
    left = np.abs(sign * robot.position_upper[0] - samples[:, 0, 0])
    assert left[-1] < 1e-3 and (np.diff(left) <= 1e-9).all()
    assert np.abs(samples[100:, 2, 0]).max() < 0.55 * 0.5 * robot.acceleration_limit[0]  # no braking at the last moment
    assert arm.manager.jogs.counts.slowed["near a joint stop"]
    back = arm.run(1.0, arm.velocities(-sign, 0.0))
    assert np.abs(back[-1, 1, 0]) == pytest.approx(1.0, abs=1e-6) and arm.keeps_its_limits()


def test_a_joint_at_its_stop_leaves_the_tool_to_the_others_where_they_suffice():
    robot = packaged("panda")
    q = np.array(ARMS["panda"][3])
    q[5] = robot.position_upper[5] - 0.01
    arm = Jogged(robot, q)
    samples = arm.run(1.0, arm.twist(0.05, 0.0, 0.0, 0.0, 0.0, 0.0))
    way = arm.poses(samples[:, 0])[0][-1] - arm.kinematics.pose(q)[0]
    assert way[0] > 0.03 and arm.keeps_its_limits()


def test_the_tool_slows_down_before_a_singular_posture_stays_on_its_line_and_can_go_back():
    arm = panda()
    start = arm.kinematics.pose(np.array(ARMS["panda"][3]))[0]
    q = arm.run(4.0, arm.twist(0.3, 0.0, 0.0, 0.0, 0.0, 0.0))[:, 0]
    way = arm.poses(q)[0] - start
    assert np.abs(way[:, 1:]).max() < 2e-3 and way[-1, 0] > 0.15
    sizes = np.linalg.svd(arm.kinematics.velocity_map(q[-1])[2], compute_uv=False)
    assert 35.0 < sizes[0] / sizes[-1] < 50.0 + ROUNDING
    assert (
        np.abs(np.diff(way[-100:, 0])).max() / DT < 5e-3 and arm.manager.jogs.counts.slowed["near a singular posture"]
    )
    back = arm.run(1.5, arm.twist(-0.3, 0.0, 0.0, 0.0, 0.0, 0.0))
    assert arm.poses(back[:, 0])[0][-1, 0] - start[0] < way[-1, 0] - 0.15 and arm.keeps_its_limits()


def test_a_stretched_arm_which_is_singular_is_not_thrown():
    robot = planar_robot(3)
    arm = Jogged(robot, [0.0, 0.0, 0.0], rotation_weights=(0.0, 0.0, 0.0))
    samples = arm.run(1.0, arm.twist(-0.2, 0.0, 0.1, 0.0, 0.0, 0.0))
    assert np.isfinite(samples).all() and arm.keeps_its_limits()


@pytest.mark.parametrize("weights", [(1.0, 1.0, 0.0), (0.0, 0.0, 0.0)])
def test_rotations_that_are_free_are_not_held(weights):
    arm = panda(rotation_weights=weights)
    q0 = np.array(ARMS["panda"][3])
    q = arm.run(1.0, arm.twist(0.1, 0.0, 0.0, 0.0, 0.0, 0.0))[:, 0]
    (p, R), (p0, R0) = arm.kinematics.pose(q[-1]), arm.kinematics.pose(q0)
    assert np.abs((p - p0)[1:]).max() < 1e-3 and (p - p0)[0] > 0.08
    if any(weights):
        assert R[:, 2] @ R0[:, 2] > np.cos(0.005)


# --- the wrong time, and other targets -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "age, reason", [(0.3, "too old"), (-0.3, "in the future"), (100.0, "too old"), (-1e9, "in the future")]
)
def test_a_jog_stamped_at_the_wrong_time_is_counted_and_has_no_other_effect(age, reason):
    arm, quiet = Jogged(planar_robot(2), [0.5, 0.5]), Jogged(planar_robot(2), [0.5, 0.5])
    for jogged in (arm, quiet):
        jogged.manager.set_joint_target([0.9, 0.1])
        jogged.run(0.2)
    arm.velocities(1.0, 1.0, stamp=arm.stamp - age)()
    np.testing.assert_array_equal(arm.run(1.0), quiet.run(1.0))
    assert arm.manager.jogs.counts.ignored == {f"velocities: {reason}": 1}
    assert "reference.jog_timeout" in arm.manager.jogs.counts.details[f"velocities: {reason}"]


def test_a_jog_that_has_no_effect_takes_no_good_ones_place():
    arm = Jogged(planar_robot(2), [0.5, 0.5])
    arm.velocities(1.0, 0.0)()
    arm.velocities(-1.0, 0.0, stamp=arm.stamp - 5.0)()
    arm.velocities(-1.0, 0.0, stamp=arm.stamp + 5.0)()
    assert arm.run(0.1)[-1, 1, 0] > 0.05
    assert arm.manager.jogs.counts.ignored == {"velocities: too old": 1, "velocities: in the future": 1}


def test_a_jog_holds_from_its_stamp_on():
    arm = Jogged(planar_robot(2), [0.5, 0.5], jog_timeout=0.2)
    arm.velocities(1.0, 1.0, stamp=arm.stamp - 0.15)()
    moving = arm.run(0.5)
    assert (np.diff(moving[:9, 2, 0]) >= 0.0).all() and moving[12, 2, 0] < moving[9, 2, 0]  # 50 ms were left
    assert moving[:, 1, 0].max() < 0.3


def test_a_jog_holds_for_two_periods_however_short_its_time_is():
    arm = Jogged(planar_robot(2), [0.5, 0.5], jog_timeout=0.01)
    slow = TargetManager(arm.robot, arm.settings, 0.05)
    slow.reset(np.array([0.5, 0.5]), BEGIN)
    for k in range(20):
        slow.set_velocities([0.5, 0.0])
        slow.advance(BEGIN + 0.05 * k, np.concatenate((slow.joints.at(BEGIN + 0.05 * k), np.zeros(2))))
    assert slow.joints.motion_at(BEGIN + 1.0)[1][0] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(
    "send, kind",
    [
        (lambda m: m.set_twist([np.nan, 0, 0, 0, 0, 0]), "not finite"),
        (lambda m: m.set_twist([0, 0, 0, 0, np.inf, 0]), "not finite"),
        (lambda m: m.set_twist([1e300, 0, 0, 0, 0, 0]), "too fast"),
        (lambda m: m.set_twist([0.8, 0.8, 0, 0, 0, 0]), "too fast"),
        (lambda m: m.set_twist([0, 0, 0, 0, 0, 3.1]), "too fast"),
        (lambda m: m.set_twist(np.zeros(6), "camera"), "unknown frame"),
        (lambda m: m.set_twist(np.zeros(6), "x" * 100_000), "unknown frame"),
        (lambda m: m.set_velocities([np.nan, 0.0]), "not finite"),
        (lambda m: m.set_velocities([0.0, 3.01]), "too fast"),
    ],
)
def test_a_jog_that_cannot_be_one_is_refused_with_the_reason(send, kind):
    arm = Jogged(planar_robot(2), [0.5, 0.5])
    with pytest.raises(TargetError) as refused:
        send(arm.manager)
    assert refused.value.kind == kind and len(str(refused.value)) < 600
    np.testing.assert_array_equal(arm.run(0.1)[:, 1], 0.0)


def test_a_frame_that_other_joints_move_is_refused():
    text = lifted_arm(3).replace(
        "</robot>",
        '<link name="finger"/><joint name="slide" type="prismatic"><parent link="tip"/><child link="finger"/>'
        '<axis xyz="0 1 0"/><limit lower="0" upper="0.1" effort="1" velocity="1"/></joint></robot>',
    )
    robot = load_robot(RobotSettings(joints=("joint1", "joint2", "joint3"), tip="tip"), text)
    manager = TargetManager(robot, ReferenceSettings(), DT)
    with pytest.raises(TargetError, match="'finger' is moved by joint 'slide'"):
        manager.set_twist(np.zeros(6), "finger")
    assert manager.set_twist(np.zeros(6), "link1").frame == "link1"  # the lift below it is measured


def test_while_targets_are_refused_and_after_an_interruption_a_jog_has_no_effect():
    arm = Jogged(planar_robot(2), [0.5, 0.5])
    reason = ["the arm is held"]
    arm.manager.refuse_while(lambda: reason[0])
    arm.run(0.5, arm.velocities(1.0, 1.0))
    np.testing.assert_array_equal(arm.samples[-1][0], [0.5, 0.5])
    assert arm.manager.jogs.counts.ignored == {"velocities: refused at present": 25}
    reason[0] = ""
    for interrupt in ("reset", "resume", "hold"):
        arm.velocities(1.0, 1.0)()
        q = arm.samples[-1][0]
        getattr(arm.manager, interrupt)(*((q,) if interrupt == "reset" else (q, np.zeros(2))), arm.stamp)
        np.testing.assert_array_equal(arm.run(0.2)[:, 1], 0.0)
    arm.run(0.2, arm.velocities(1.0, 1.0))
    q, qd, _ = arm.samples[-1]
    arm.manager.resume(q, qd, arm.stamp)
    assert np.abs(arm.run(1.0)[-1, 1]).max() == 0.0


def test_the_latest_of_jogs_and_targets_wins_without_a_step():
    arm = Jogged(planar_robot(2), [0.5, 0.5])
    arm.run(0.3, arm.velocities(1.0, 0.0))
    arm.manager.set_joint_target([0.0, 0.0])
    arm.run(2.0)
    np.testing.assert_allclose(arm.samples[-1][0], 0.0, atol=1e-9)
    arm.manager.set_joint_target([1.0, 1.0])
    arm.run(0.3)
    arm.run(1.0, arm.velocities(-0.5, 0.0))
    assert arm.manager.target.kind == "velocities" and arm.samples[-1][1][0] == pytest.approx(-0.5)
    arm.velocities(0.5, 0.5)()
    arm.manager.set_joint_target([0.2, 0.2])  # it came after the jog, within one tick
    arm.run(3.0)
    np.testing.assert_allclose(arm.samples[-1][0], 0.2, atol=1e-9)
    arm.manager.set_joint_target([0.3, 0.3])
    arm.velocities(0.5, 0.5)()
    arm.run(DT)
    assert arm.manager.target.kind == "velocities"
    assert arm.keeps_its_limits()


def test_a_target_that_waits_for_its_time_takes_the_place_of_a_jog():
    arm = Jogged(planar_robot(2), [0.5, 0.5])
    arm.manager.set_joint_target([0.0, 0.0], stamp=arm.stamp + 0.5)
    arm.run(0.4, arm.velocities(0.5, 0.5))
    arm.run(3.0)
    np.testing.assert_allclose(arm.samples[-1][0], 0.0, atol=1e-9)
    assert arm.keeps_its_limits() and isinstance(arm.manager.target, Target)


# --- an arm that does not follow ------------------------------------------------------------------------------------


def blocked(arm: Jogged, seconds: float, send, q) -> np.ndarray:
    """Let time pass while the arm is measured at rest at q; return positions (T, n) of the reference."""
    first = len(arm.samples)
    for i in range(round(seconds / DT)):
        if i % 4 == 0:
            send()
        arm.manager.advance(arm.stamp, np.concatenate((q, np.zeros(arm.robot.n))))
        arm.k += 1
        arm.samples.append(arm.manager.joints.motion_at(arm.stamp))
    return np.array(arm.samples[first:])[:, 0]


@pytest.mark.parametrize("speed", [0.1, 1.0])
def test_the_reference_of_a_jog_waits_for_an_arm_that_is_blocked(speed):
    arm, q = Jogged(planar_robot(2), [0.5, 0.5], jog_lead=0.15), np.array([0.5, 0.5])
    bound, braking = 0.15 * 0.5 * arm.robot.velocity_limit[0], 0.5 * arm.robot.acceleration_limit[0]
    ahead = blocked(arm, 5.0, arm.velocities(speed, 0.0), q) - q
    assert ahead[:, 0].max() < bound + 0.5 * speed**2 / braking and np.abs(ahead[:, 1]).max() < 1e-9
    assert np.abs(arm.samples[-1][1]).max() < 0.01
    assert arm.manager.jogs.counts.slowed["because the arm does not follow"] > 100
    assert arm.keeps_its_limits()
    blocked(arm, 1.0, lambda: None, q)  # no message follows
    np.testing.assert_allclose(arm.manager.target.q, q, atol=1e-9)
    np.testing.assert_allclose(arm.samples[-1][0], q, atol=1e-9)


def test_the_tool_of_an_arm_that_is_blocked_is_not_led_away_and_goes_back_at_once():
    arm, q = panda(), np.array(ARMS["panda"][3])
    start = arm.kinematics.pose(q)[0]
    ahead = blocked(arm, 5.0, arm.twist(0.1, 0.0, 0.0, 0.0, 0.0, 0.0), q)
    assert np.linalg.norm(arm.poses(ahead)[0] - start, axis=1).max() < 0.1
    blocked(arm, DT, arm.twist(-0.1, 0.0, 0.0, 0.0, 0.0, 0.0), q)
    back = arm.run(0.5, arm.twist(-0.1, 0.0, 0.0, 0.0, 0.0, 0.0))[:, 0]
    way = arm.poses(back)[0] - start
    assert way[0, 0] < 1e-3 and way[-1, 0] < -0.03 and np.abs(way[:, 1:]).max() < 2e-3  # not from where it was led to


@pytest.mark.parametrize("interface", ["effort", "velocity"])
def test_a_jog_goes_on_from_where_the_safe_command_holds_the_arm(interface):
    arm, q = Jogged(dataclasses.replace(planar_robot(2), interface=interface), [0.5, 0.5]), np.array([0.3, 0.6])
    arm.run(0.3, arm.velocities(1.0, 0.0))
    arm.velocities(1.0, 0.0)()
    arm.manager.ramp_in(q, np.zeros(2), arm.stamp)
    np.testing.assert_allclose(arm.manager.joints.at(arm.stamp), q, atol=1e-12)
