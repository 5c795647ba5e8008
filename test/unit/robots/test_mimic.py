"""Joints that follow a controlled one: kinematics, inertia and gravity against formulas of a planar arm.

The forearm of the arm turns by k q + c against its upper arm. With the lengths 1 m and 0.5 m, the masses m, m' in the
middle of either and their moments I, I' about it,

    tip = [cos q + 0.5 cos(s q + c), sin q + 0.5 sin(s q + c)],      s = 1 + k
    M   = I + m / 4 + I' s^2 + m' (1 + s^2 / 16 + s / 2 cos((s - 1) q + c))
    g   = G (m / 2 cos q + m' (cos q + s / 4 cos(s q + c)))
"""

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.exceptions import ConfigurationError, RobotDescriptionError
from mbrl_ros.robots import load_robot, urdf
from mbrl_ros.robots.arm import arm_of
from mbrl_ros.robots.gravity import GravityEffort
from mbrl_ros.robots.inertia import JointSpaceInertia
from mbrl_ros.robots.kinematics import Kinematics
from mbrl_ros.robots.mimic import Coupling, Follower
from mbrl_ros.robots.pose_kinematics import PoseKinematics

UPPER, FORE = (2.0, 0.03), (1.5, 0.02)  # mass [kg], moment [kg m^2]
G = 9.81
CASES = ((-1.0, 0.3), (2.0, -0.4), (0.0, 0.7), (1.0, 0.0))


def arm(k=-1.0, c=0.3, *, mimic="", more="", **settings):
    """The arm of the module's head; `mimic` instead of its <mimic>, `more` elements of the URDF."""

    def link(name, inertial, centre):
        mass, moment = inertial
        return (
            f'<link name="{name}"><inertial><origin xyz="{centre} 0 0"/><mass value="{mass}"/><inertia ixx="{moment}" '
            f'iyy="{moment}" izz="{moment}" ixy="0" ixz="0" iyz="0"/></inertial></link>'
        )

    follows = mimic or f'<mimic joint="shoulder" multiplier="{k}" offset="{c}"/>'
    limit = '<limit lower="-3" upper="3" velocity="3" effort="60"/>'
    text = f"""<robot name="linkage"><link name="base"/>{link("upper", UPPER, 0.5)}{link("fore", FORE, 0.25)}
    <link name="hand"/>
    <joint name="shoulder" type="revolute"><parent link="base"/><child link="upper"/><axis xyz="0 0 1"/>{limit}</joint>
    <joint name="elbow" type="continuous"><parent link="upper"/><child link="fore"/><origin xyz="1 0 0"/>
      <axis xyz="0 0 1"/>{follows}</joint>
    <joint name="wrist" type="fixed"><parent link="fore"/><child link="hand"/><origin xyz="0.5 0 0"/></joint>{more}
    </robot>"""
    settings = {"joints": ("shoulder",), "tip": "hand", "gravity": (0.0, -G, 0.0), **settings}
    return load_robot(RobotSettings(**{"interface": "effort", **settings}), text)


def expected(k, c, q):
    """Return tip (2,), M, dM/dq and g at q."""
    s = 1.0 + k
    (m, moment), (mass, other) = UPPER, FORE
    tip = [np.cos(q) + 0.5 * np.cos(s * q + c), np.sin(q) + 0.5 * np.sin(s * q + c)]
    M = moment + m / 4.0 + other * s**2 + mass * (1.0 + s**2 / 16.0 + s / 2.0 * np.cos(k * q + c))
    slope = -mass * s / 2.0 * k * np.sin(k * q + c)
    return tip, M, slope, G * (m / 2.0 * np.cos(q) + mass * (np.cos(q) + s / 4.0 * np.cos(s * q + c)))


@pytest.mark.parametrize(("k", "c"), CASES)
@pytest.mark.parametrize("q", (-1.1, 0.0, 0.8))
def test_the_tip_moves_with_what_follows(k, c, q):
    robot, at = arm(k, c), np.array([q])
    assert robot.n == 1 and robot.uncontrolled == () and robot.followers == (Follower("elbow", 0, k, c),)
    tip = expected(k, c, q)[0]
    kinematics, s = PoseKinematics(robot), 1.0 + k
    np.testing.assert_allclose(kinematics.position(at), [*tip, 0.0], atol=1e-12)
    slope = [-np.sin(q) - 0.5 * s * np.sin(s * q + c), np.cos(q) + 0.5 * s * np.cos(s * q + c), 0.0]
    np.testing.assert_allclose(kinematics.jacobian(at)[:, 0], slope, atol=1e-12)
    turn = s * q + c
    np.testing.assert_allclose(
        kinematics.pose(at)[1][:2, :2], [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]], atol=1e-12
    )


@pytest.mark.parametrize(("k", "c"), CASES)
@pytest.mark.parametrize("q", (-1.1, 0.0, 0.8))
def test_inertia_and_gravity_are_those_on_the_joint_that_is_followed(k, c, q):
    robot, at = arm(k, c), np.array([q])
    _, M, _, g = expected(k, c, q)
    for inertia in (JointSpaceInertia(robot), JointSpaceInertia(robot).numpy):
        np.testing.assert_allclose(inertia(at), [[M]], rtol=1e-12)
    for gravity in (GravityEffort(robot), GravityEffort(robot).numpy):
        np.testing.assert_allclose(gravity(at), [g], atol=1e-11)


@pytest.mark.parametrize(("k", "c"), CASES)
def test_the_rigid_body_model_has_the_forces_of_motion(k, c):
    pytest.importorskip("adam")
    from mbrl_ros.robots.rigid_body import forward_dynamics

    q, qd, tau = 0.8, 1.5, 20.0
    _, M, slope, g = expected(k, c, q)
    qdd = float(forward_dynamics(arm(k, c))(q, qd, tau))
    assert qdd == pytest.approx((tau - 0.5 * slope * qd**2 - g) / M, rel=1e-9)


@pytest.mark.parametrize(("k", "c"), CASES)
@pytest.mark.parametrize("interface", ("effort", "velocity"))
def test_the_plant_moves_as_the_model_says(k, c, interface):
    from mbrl_ros.simulation.plant import Plant

    robot = arm(k, c, interface=interface)
    lossless = {"armature": (0.0,), "damping": (0.0,), "frictionloss": (0.0,), "command_delay": 0.0}
    settings = PlantSettings(rate=200.0, initial_position=(0.4,), initial_noise=0.0, **lossless)
    plant, kinematics = Plant(settings, robot), Kinematics(robot)
    plant.reset()
    _, M, _, g = expected(k, c, 0.4)
    np.testing.assert_allclose(plant.holding_effort(np.array([0.4])), [g], rtol=1e-9)
    np.testing.assert_allclose(plant.truth.tip, kinematics.position(np.array([0.4])), atol=1e-9)
    if interface == "effort":
        for _ in range(2):
            plant.step(np.array([g + 3.0]))
        assert plant.truth.qd[0] == pytest.approx(2 * 0.005 * 3.0 / M, rel=0.02)
    else:
        for _ in range(100):
            plant.step(np.array([0.5]))
        assert plant.truth.qd[0] == pytest.approx(0.5, abs=0.01)
    np.testing.assert_allclose(plant.truth.tip, kinematics.position(plant.truth.q), atol=2e-4)


def test_what_follows_a_follower_follows_its_joint():
    more = """<link name="finger"/><joint name="echo" type="prismatic"><parent link="hand"/><child link="finger"/>
    <axis xyz="1 0 0"/><mimic joint="elbow" multiplier="0.1" offset="0.02"/></joint>"""
    robot = arm(2.0, 0.5, more=more, tip="finger")
    assert [one.name for one in robot.followers] == ["elbow", "echo"]
    np.testing.assert_allclose(robot.followers[1][1:], (0, 0.2, 0.07), rtol=1e-12)
    reach = 0.5 + 0.2 * 0.3 + 0.07
    np.testing.assert_allclose(
        Kinematics(robot).position(np.array([0.3])),
        [np.cos(0.3) + reach * np.cos(1.4), np.sin(0.3) + reach * np.sin(1.4), 0.0],
        atol=1e-12,
    )
    coupling = Coupling(1, robot.followers)
    np.testing.assert_allclose(coupling.positions(np.array([0.3])), [0.3, 1.1, 0.13], rtol=1e-12)


def test_a_follower_has_the_multiplier_one_and_no_offset_where_nothing_is_said():
    assert arm(mimic='<mimic joint="shoulder"/>').followers == (Follower("elbow", 0, 1.0, 0.0),)


@pytest.mark.parametrize("mimic", ('<mimic joint="elbow"/>', '<mimic joint="absent"/>'))
def test_what_follows_no_controlled_joint_is_not_controlled(mimic):
    robot = arm(mimic=mimic)
    assert robot.followers == () and robot.uncontrolled == ("elbow",)


@pytest.mark.parametrize("mimic", ('multiplier="two"', 'offset="nan"', 'multiplier="inf"'))
def test_what_is_no_number_is_refused_where_it_matters(mimic):
    with pytest.raises(RobotDescriptionError, match="elbow.*finite"):
        arm(mimic=f'<mimic joint="shoulder" {mimic}/>')
    fixed = '<link name="box"/><joint name="lid" type="revolute"><parent link="base"/><child link="box"/>'
    more = f'{fixed}<mimic joint="absent" {mimic}/></joint>'
    assert [one.name for one in arm(more=more).followers] == ["elbow"]


def test_the_joints_of_an_arm_are_those_that_move_by_themselves():
    """With a tip behind the linkage; a follower is never among the controlled joints."""
    found = arm_of(urdf.parse(arm().urdf), "hand")
    assert found.joints == ("shoulder",) and found.flange == "hand"


def test_the_collision_rule_refuses_what_it_does_not_know():
    from mbrl_ros.collision.build import build_scene
    from mbrl_ros.config.sections.collision import CollisionSettings

    with pytest.raises(ConfigurationError, match="'fore' moves with joint 'elbow'"):
        build_scene(arm(), CollisionSettings(capsules=("upper 0 0 0 1 0 0 0.05", "fore 0 0 0 0.5 0 0 0.05")))


def test_the_second_engine_refuses_what_follows():
    pytest.importorskip("dartpy")
    from mbrl_ros.simulation.dart_plant import DartPlant

    with pytest.raises(RobotDescriptionError, match="elbow"):
        DartPlant(PlantSettings(), arm())


def test_gazebo_refuses_a_tip_behind_what_would_stand_still(tmp_path):
    from mbrl_ros.simulation.gazebo import gazebo_urdf

    with pytest.raises(RobotDescriptionError, match="elbow.*sim_node"):
        gazebo_urdf(arm(), tmp_path / "controllers.yaml")
    assert "elbow" in gazebo_urdf(arm(tip="upper"), tmp_path / "controllers.yaml")
