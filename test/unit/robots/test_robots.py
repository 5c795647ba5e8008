"""Robots from URDFs: limits, names, kinematics and nominal dynamics, checked against MuJoCo and adam-robotics."""

import importlib.metadata
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.exceptions import ConfigurationError, JointNameError, RobotDescriptionError
from mbrl_ros.robots import load_robot, urdf
from mbrl_ros.robots.gravity import GravityEffort
from mbrl_ros.robots.meshes import find_mesh
from support.finite_differences import derivative

# Two links of 1 m and 0.5 m turning about y, then a slide of 0.2 m along x: positions can be computed by hand.
PLANAR = """
<robot name="planar">
  <link name="base"/>
  <link name="upper"><inertial><origin xyz="0.5 0 0"/><mass value="2"/>
    <inertia ixx="0.01" ixy="0" ixz="0" iyy="0.1" iyz="0" izz="0.1"/></inertial></link>
  <link name="lower"><inertial><origin xyz="0.25 0 0"/><mass value="1"/>
    <inertia ixx="0.01" ixy="0" ixz="0" iyy="0.05" iyz="0" izz="0.05"/></inertial></link>
  <link name="slider"><inertial><mass value="0.1"/>
    <inertia ixx="0.001" ixy="0" ixz="0" iyy="0.001" iyz="0" izz="0.001"/></inertial></link>
  <link name="target_manager"/>
  <joint name="shoulder" type="revolute"><parent link="base"/><child link="upper"/><axis xyz="0 -2 0"/>
    <limit lower="-1" upper="2" velocity="3" effort="40"/></joint>
  <joint name="elbow" type="continuous"><parent link="upper"/><child link="lower"/><origin xyz="1 0 0"/>
    <axis xyz="0 -1 0"/><limit velocity="4" effort="10"/></joint>
  <joint name="slide" type="prismatic"><parent link="lower"/><child link="slider"/><origin xyz="0.5 0 0"/>
    <axis xyz="1 0 0"/><limit lower="0" upper="0.2" velocity="0.1" effort="5"/></joint>
  <joint name="echo" type="prismatic"><parent link="lower"/><child link="target_manager"/><axis xyz="1 0 0"/>
    <limit lower="0" upper="0.2" velocity="0.1" effort="5"/><mimic joint="slide"/></joint>
</robot>"""

ARMS = {
    "panda": tuple(f"panda_joint{i}" for i in range(1, 8)),
    "ur5": (),
    "xarm7": (),
    "kinova": (),
}


def planar(text=PLANAR, **changes):
    return load_robot(RobotSettings(**changes), text)


def arm(name):
    pytest.importorskip("mujoco")
    try:
        importlib.metadata.distribution("example-robot-data")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("example-robot-data is not installed")
    return load_robot(RobotSettings(description=f"package-data:{name}", joints=ARMS[name]))


def mujoco_model(robot):
    """The robot's mechanism as MuJoCo reads it, joints in the order of the robot (all arms here are serial)."""
    mujoco = pytest.importorskip("mujoco")
    mechanism = urdf.reduced(robot.urdf, robot.joints)
    ElementTree.SubElement(ElementTree.SubElement(mechanism, "mujoco"), "compiler", fusestatic="false")
    model = mujoco.MjModel.from_xml_string(ElementTree.tostring(mechanism, encoding="unicode"))
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONSTRAINT
    assert [model.joint(i).name for i in range(model.njnt)] == list(robot.joints)
    return mujoco, model, mujoco.MjData(model)


def random_positions(robot, count, seed):
    low, high = np.maximum(robot.position_lower, -3.0), np.minimum(robot.position_upper, 3.0)
    return np.random.default_rng(seed).uniform(low, high, (count, robot.n))


# --- limits and names ----------------------------------------------------------------------------------------


def test_limits_are_the_urdfs_after_margin_and_scale():
    robot = planar(
        position_margin=(0.1,), velocity_scale=(0.5, 1.0, 0.1), effort_scale=(0.25,), acceleration_limit=(1.0, 2.0, 3.0)
    )
    assert robot.joints == ("shoulder", "elbow", "slide")
    # The slide's range is 0.2 m: its margin is a tenth of that, not 0.1.
    np.testing.assert_allclose(robot.position_lower, [-0.9, -np.inf, 0.02])
    np.testing.assert_allclose(robot.position_upper, [1.9, np.inf, 0.18])
    np.testing.assert_allclose(robot.velocity_limit, [1.5, 4.0, 0.01])
    np.testing.assert_allclose(robot.effort_limit, [10.0, 2.5, 1.25])
    np.testing.assert_allclose(robot.acceleration_limit, [1.0, 2.0, 3.0])
    np.testing.assert_allclose(robot.middle, [0.5, 0.0, 0.1])
    assert robot.bounded.tolist() == [True, False, True]
    assert (robot.root, robot.tip) == ("base", "slider")


@pytest.mark.parametrize("interface, upper", [("effort", [40, 10, 5]), ("velocity", [3, 4, 0.1])])
def test_command_limits_follow_the_interface(interface, upper):
    robot = planar(interface=interface)
    np.testing.assert_allclose(robot.command_upper, upper)
    np.testing.assert_allclose(robot.command_lower, -np.array(upper))


def test_position_commands_stay_finite_for_a_continuous_joint():
    robot = planar(interface="position", position_margin=(0.0,))
    np.testing.assert_allclose(robot.command_lower, [-1.0, -4 * np.pi, 0.0])
    np.testing.assert_allclose(robot.command_upper, [2.0, 4 * np.pi, 0.2])


def test_joints_follow_the_wanted_order_and_arrays_cannot_be_changed():
    robot = planar(joints=("elbow", "shoulder"))
    np.testing.assert_allclose(robot.velocity_limit, [4.0, 3.0])
    with pytest.raises(ValueError):
        robot.velocity_limit[0] = 9.0


def test_the_default_tip_is_moved_by_most_joints_and_never_by_a_mimic():
    assert (
        planar(
            PLANAR.replace('name="slide" type="prismatic"', 'name="slide" type="fixed"').replace(
                '<mimic joint="slide"/>', '<mimic joint="elbow"/>'
            )
        ).tip
        == "slider"
    )
    assert planar(joints=("shoulder", "elbow")).tip == "slider"
    assert planar(tip="upper").tip == "upper"


def test_unknown_joint_names_both_lists_and_the_nearest():
    with pytest.raises(JointNameError, match=r"(?s)sholder.*'elbow', 'slide'.*did you mean 'shoulder'"):
        planar(joints=("sholder", "elbow"))


@pytest.mark.parametrize(
    "text, changes, message",
    [
        ("<robot", {}, "not valid XML"),
        ("<mujoco/>", {}, "<mujoco>.*needs the URDF"),
        ("<robot name='r'/>", {}, "no <link>.*xacro"),
        ("<robot name='r'><link name='a'/></robot>", {}, "no movable joint"),
        (PLANAR.replace('velocity="3"', 'velocity="0"'), {}, "'shoulder' has no velocity limit.*data sheet"),
        (PLANAR.replace(' effort="10"', ""), {}, "'elbow' has no effort limit"),
        (PLANAR.replace('lower="-1" upper="2"', ""), {}, "'shoulder' has no range"),
        (PLANAR.replace('velocity="3"', 'velocity="fast"'), {}, "velocity.*'shoulder'.*'fast'"),
        (PLANAR.replace('xyz="0 -2 0"', 'xyz="0 0 0"'), {}, "axis of joint 'shoulder' is zero"),
        (
            PLANAR.replace('type="continuous"', 'type="floating"'),
            {},
            "'slide' stands behind joint 'elbow'",
        ),
        (
            PLANAR.replace('<parent link="upper"/>', '<parent link="uper"/>'),
            {},
            "'elbow'.*'uper'.*did you mean 'upper'",
        ),
        (PLANAR.replace('<parent link="base"/>', '<parent link="lower"/>'), {}, "ring|one tree"),
        (
            PLANAR.replace('<link name="target_manager"/>', '<link name="target_manager"/><link name="loose"/>'),
            {},
            "one tree.*loose",
        ),
        (PLANAR.replace('name="target_manager"/>', 'name="slider"/>'), {}, "unique.*slider"),
        (PLANAR, {"tip": "slidr"}, "no link 'slidr'.*did you mean 'slider'"),
        (PLANAR, {"tip": "base"}, "no controlled joint moves the tip 'base'"),
        (PLANAR, {"joints": ("echo",)}, "'echo' follows 'slide'"),
        ("", {}, "no robot description"),
        ("/nowhere/robot.urdf", {}, "cannot read.*nowhere"),
    ],
)
def test_an_unsuitable_description_says_what_to_fix(text, changes, message):
    with pytest.raises(RobotDescriptionError, match=message):
        planar(text, **changes)


@pytest.mark.parametrize(
    "changes", [{"joints": ("elbow", "elbow")}, {"tip_offset": (0.1,)}, {"acceleration_limit": (1.0, 2.0)}]
)
def test_settings_that_do_not_fit_the_robot_are_refused(changes):
    with pytest.raises(ConfigurationError, match=next(iter(changes))):
        planar(**changes)


def test_a_file_is_read_and_a_xacro_is_explained(tmp_path):
    file = tmp_path / "planar.urdf"
    file.write_text(PLANAR)
    assert load_robot(RobotSettings(description=str(file))).n == 3
    xacro = tmp_path / "planar.xacro"
    xacro.write_text(PLANAR)
    with pytest.raises(RobotDescriptionError, match="expand it"):
        load_robot(RobotSettings(description=str(xacro)))


def test_package_data_names_the_nearest_robot_or_what_to_install(monkeypatch, tmp_path):
    arm("panda")
    with pytest.raises(RobotDescriptionError, match="'pandaa'; did you mean 'panda'"):
        load_robot(RobotSettings(description="package-data:pandaa"))

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))  # where a part of the package may be
    with pytest.raises(RobotDescriptionError, match="'package-data:' needs.*pip install example-robot-data"):
        load_robot(RobotSettings(description="package-data:panda"))


def test_a_part_of_the_package_is_used_where_the_package_is_not_installed(tmp_path, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    folder = tmp_path / "share" / "example-robot-data" / "robots" / "flat_description"
    for name, text in (("urdf/flat.urdf", PLANAR), ("meshes/link.stl", "solid")):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text)
    assert load_robot(RobotSettings(description="package-data:flat")).urdf.strip() == PLANAR.strip()
    uri = "package://example-robot-data/robots/flat_description/meshes/link.stl"
    assert find_mesh(uri, None, (".stl",)) == folder / "meshes" / "link.stl"
    with pytest.raises(
        RobotDescriptionError, match=r"no robot 'panda'.*for all robots: pip install example-robot-data"
    ):
        load_robot(RobotSettings(description="package-data:panda"))


# --- kinematics ----------------------------------------------------------------------------------------------


def test_planar_tip_is_where_trigonometry_puts_it():
    from mbrl_ros.robots.kinematics import Kinematics

    a, b, s = 0.4, 0.7, 0.1  # both joints turn about -y, so positive angles lift the links
    expected = np.array([np.cos(a), 0, np.sin(a)]) + (0.5 + s + 0.03) * np.array([np.cos(a + b), 0, np.sin(a + b)])
    kinematics = Kinematics(planar(tip_offset=(0.03, 0.0, 0.0)))
    np.testing.assert_allclose(kinematics.position(np.array([a, b, s])), expected, atol=1e-12)


def test_joints_that_are_not_controlled_stay_at_zero():
    from mbrl_ros.robots.kinematics import Kinematics

    kinematics = Kinematics(planar(joints=("elbow",)))
    np.testing.assert_allclose(kinematics.position(np.array([np.pi / 2])), [1.0, 0.0, 0.5], atol=1e-12)


@pytest.mark.parametrize("name", ARMS)
def test_tip_position_equals_mujocos_and_adams(name):
    from mbrl_ros.robots.kinematics import Kinematics, tip_position

    robot = arm(name)
    mujoco, model, data = mujoco_model(robot)
    adam = pytest.importorskip("adam.casadi").KinDynComputations(
        ElementTree.tostring(urdf.reduced(robot.urdf, robot.joints), encoding="unicode"), list(robot.joints)
    )
    adam_fk = adam.forward_kinematics_fun(robot.tip)
    kinematics = Kinematics(robot)
    for q in random_positions(robot, 20, seed=1):
        data.qpos[:] = q
        mujoco.mj_kinematics(model, data)
        np.testing.assert_allclose(kinematics.position(q), data.body(robot.tip).xpos, atol=1e-9)
        np.testing.assert_allclose(kinematics.position(q), np.array(adam_fk(np.eye(4), q))[:3, 3], atol=1e-9)
    # The planner evaluates this for every stage of every tick: it must stay small (85 for the Panda when written).
    assert tip_position(robot).n_instructions() < 130


@pytest.mark.parametrize("name", ARMS)
def test_jacobian_equals_central_differences(name):
    from mbrl_ros.robots.kinematics import Kinematics

    kinematics = Kinematics(arm(name))
    for q in random_positions(arm(name), 5, seed=2):
        np.testing.assert_allclose(kinematics.jacobian(q), derivative(kinematics.position, q), atol=1e-8)


@pytest.mark.parametrize("name", ARMS)
def test_inverse_reaches_every_reachable_point_inside_the_limits(name):
    from mbrl_ros.robots.kinematics import Kinematics

    robot = arm(name)
    kinematics = Kinematics(robot)
    positions = random_positions(robot, 31, seed=3)
    for q in positions[1:]:
        point = kinematics.position(q)
        found, distance = kinematics.inverse(point, positions[0])
        assert distance < 1e-6 and np.linalg.norm(kinematics.position(found) - point) < 1e-6
        assert (found >= robot.position_lower).all() and (found <= robot.position_upper).all()


def test_inverse_reports_how_far_an_unreachable_point_is_and_repeats_itself():
    from mbrl_ros.robots.kinematics import Kinematics

    kinematics = Kinematics(planar())
    # Stretched along +x at full slide (0.2 m less its margin of 0.02 m) the tip is at 1.68 m.
    found, distance = kinematics.inverse(np.array([3.0, 0.0, 0.0]), np.array([0.3, 0.2, 0.1]))
    assert distance == pytest.approx(3.0 - 1.68, abs=1e-4)
    again, _ = kinematics.inverse(np.array([3.0, 0.0, 0.0]), np.array([0.3, 0.2, 0.1]))
    np.testing.assert_array_equal(found, again)


# --- rigid-body dynamics -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARMS)
def test_nominal_dynamics_equal_mujocos(name):
    pytest.importorskip("adam")
    from mbrl_ros.robots.rigid_body import forward_dynamics, gravity

    robot = arm(name)
    mujoco, model, data = mujoco_model(robot)
    scale, armature = 0.8, 0.1
    model.body_mass *= scale
    model.body_inertia *= scale
    model.dof_armature[:] = armature
    mujoco.mj_setConst(model, data)
    dynamics, hold = forward_dynamics(robot, scale, (armature,)), gravity(robot, scale)
    rng = np.random.default_rng(4)
    for q in random_positions(robot, 10, seed=4):
        data.qpos[:] = q
        data.qvel[:] = rng.normal(size=robot.n)
        data.qfrc_applied[:] = rng.normal(scale=5.0, size=robot.n)
        mujoco.mj_forward(model, data)
        qdd = np.array(dynamics(q, data.qvel, data.qfrc_applied)).ravel()
        np.testing.assert_allclose(qdd, data.qacc, rtol=1e-6, atol=1e-6)
        data.qvel[:] = 0.0
        mujoco.mj_forward(model, data)
        np.testing.assert_allclose(np.array(hold(q)).ravel(), data.qfrc_bias, atol=1e-9)
        np.testing.assert_allclose(scale * GravityEffort(robot)(q), data.qfrc_bias, atol=1e-9)


def test_a_controlled_slide_has_no_nominal_model_and_says_so():
    pytest.importorskip("adam")
    from mbrl_ros.robots.rigid_body import gravity

    with pytest.raises(RobotDescriptionError, match="prismatic.*slide"):
        gravity(planar())
    # With the slide locked, the two links alone: the torques are the weights' moments about each joint.
    hold = np.array(gravity(planar(joints=("shoulder", "elbow"), tip="slider"))(np.zeros(2))).ravel()
    elbow = 9.81 * (1.0 * 0.25 + 0.1 * 0.5)
    shoulder = 9.81 * (2.0 * 0.5 + 1.0 * 1.25 + 0.1 * 1.5)
    np.testing.assert_allclose(hold, [shoulder, elbow], rtol=1e-9)
