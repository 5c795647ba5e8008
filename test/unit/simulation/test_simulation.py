"""The simulated robot: drives, delays, noise, payload, camera and pictures, against results worked out by hand."""

import importlib.metadata
import math

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.sections.simulation import CameraSettings, PlantSettings
from mbrl_ros.exceptions import ConfigurationError, JointNameError, RobotDescriptionError, ShapeError
from mbrl_ros.robots import load_robot
from mbrl_ros.simulation.camera import Camera, CameraPose, project, random_pose
from support.needs import needs, present

if present("mujoco"):
    from mbrl_ros.simulation import rendering
    from mbrl_ros.simulation.mechanism import losses
    from mbrl_ros.simulation.plant import Plant

pytestmark = needs("mujoco")


# Two rods of 1 m that turn about y, each with its 2 kg at its middle; positive angles lift them.
ARM = """
<robot name="two_rods">
  <link name="base"/>
  <link name="upper"><inertial><origin xyz="0.5 0 0"/><mass value="2"/>
    <inertia ixx="0.1" ixy="0" ixz="0" iyy="0.1" iyz="0" izz="0.1"/></inertial></link>
  <link name="lower"><inertial><origin xyz="0.5 0 0"/><mass value="2"/>
    <inertia ixx="0.1" ixy="0" ixz="0" iyy="0.1" iyz="0" izz="0.1"/></inertial></link>
  <link name="hand"/>
  <joint name="shoulder" type="revolute"><parent link="base"/><child link="upper"/><axis xyz="0 -1 0"/>
    <limit lower="-1.5" upper="1.5" velocity="4" effort="120"/></joint>
  <joint name="elbow" type="revolute"><parent link="upper"/><child link="lower"/><origin xyz="1 0 0"/>
    <axis xyz="0 -1 0"/><limit lower="-1.5" upper="1.5" velocity="4" effort="60"/></joint>
  <joint name="wrist" type="fixed"><parent link="lower"/><child link="hand"/><origin xyz="1 0 0"/></joint>
</robot>"""

MJCF = """
<mujoco>
  <worldbody>
    <body name="base" pos="0 0 0.5">
      <body name="upper">
        <joint name="shoulder" axis="0 -1 0" range="-90 90" damping="3"/>
        <inertial pos="0.5 0 0" mass="2" diaginertia="0.1 0.1 0.1"/>
        <body name="lower" pos="1 0 0">
          <joint name="elbow" axis="0 -1 0"/>
          <inertial pos="0.5 0 0" mass="2" diaginertia="0.1 0.1 0.1"/>
          <site name="hand" pos="1 0 0"/>
          <body name="finger" pos="1 0 0"><joint name="grip" type="slide" axis="1 0 0"/>
            <inertial pos="0 0 0" mass="0.001" diaginertia="1e-6 1e-6 1e-6"/></body>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator><motor joint="shoulder"/><motor joint="grip"/></actuator>
  <sensor><jointpos joint="grip"/></sensor>
  <keyframe><key qpos="0 0 0"/></keyframe>
</mujoco>"""

EXACT = {"position_noise": 0.0, "velocity_noise": 0.0, "initial_noise": 0.0, "damping": (0.0,), "frictionloss": (0.0,)}
WEIGHTLESS = {**EXACT, "gravity": (0.0, 0.0, 0.0)}


def plant_of(urdf=ARM, *, joints=(), interface="effort", tip="", **settings):
    robot = load_robot(RobotSettings(joints=joints, interface=interface, tip=tip), urdf)
    return Plant(PlantSettings(**settings), robot)


# --- time ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [0.0, 1.0, 2.4])
def test_a_command_acts_after_the_command_delay(delay):
    plant = plant_of(joints=("elbow",), **WEIGHTLESS, command_delay=delay)
    plant.reset()
    for _ in range(6):
        measured = plant.step(np.array([2.0]))
    # The lower rod about its end: 0.1 + 2 kg (0.5 m)^2 = 0.6, plus 0.1 of armature; constant torque from the delay on.
    assert measured.qd[0] == pytest.approx(2.0 / 0.7 * (6 - delay) * 0.005, rel=1e-6)


def test_commands_keep_their_order_through_the_delay():
    plant = plant_of(joints=("elbow",), **WEIGHTLESS, command_delay=1.0)
    efforts = [plant.step(np.array([u])).effort[0] for u in (3.0, -1.0, 0.5, 0.0)]
    assert efforts == [0.0, 3.0, -1.0, 0.5]


def test_a_delayed_measurement_is_the_past_truth_under_its_own_stamp():
    plant = plant_of(**EXACT, sensor_delay=2)
    measurements, truths = [plant.reset()], [plant.truth]
    for _ in range(8):
        measurements.append(plant.step(np.array([5.0, 1.0])))
        truths.append(plant.truth)
    past = {round(truth.stamp, 9): truth for truth in truths}
    assert measurements[0].stamp == 0.0 and truths[0].stamp == pytest.approx(0.01)
    for measured in measurements[2:]:
        np.testing.assert_array_equal(measured.q, past[round(measured.stamp, 9)].q)
        np.testing.assert_array_equal(measured.qd, past[round(measured.stamp, 9)].qd)
    np.testing.assert_array_equal(measurements[1].q, truths[0].q)


def test_equal_seeds_and_commands_repeat_bitwise_and_others_do_not():
    def run(plant, seed=None):
        rng, measured = np.random.default_rng(5), [plant.reset(seed)]
        for i in range(60):
            measured.append(plant.step(20.0 * rng.standard_normal(2)))
            if i == 30:
                plant.set_payload(1.0)
                plant.scale_motor("elbow", 0.6)
        return np.array([np.r_[m.stamp, m.q, m.qd, m.effort] for m in measured])

    plant = plant_of(seed=3)
    first = run(plant)
    np.testing.assert_array_equal(first, run(plant))  # reset forgets payload and weakened motor
    np.testing.assert_array_equal(first, run(plant_of(seed=3)))
    assert not np.array_equal(first, run(plant, seed=4))


# --- drives and sensors --------------------------------------------------------------------------------------


def test_sensor_noise_has_the_configured_spread():
    plant = plant_of(gravity=(0.0, 0.0, 0.0), position_noise=1e-3, velocity_noise=0.02)
    errors = []
    for _ in range(800):
        measured = plant.step(np.zeros(2))
        errors.append(np.r_[measured.q - plant.truth.q, measured.qd - plant.truth.qd])
    # 1,600 samples each: the estimated deviation is within 2.5 % at one sigma, so 10 % is four.
    spread = np.std(errors, axis=0).reshape(2, 2).mean(axis=1)
    np.testing.assert_allclose(spread, [1e-3, 0.02], rtol=0.1)


def test_commands_are_clipped_to_the_drive_and_broken_ones_keep_the_last():
    plant = plant_of(**WEIGHTLESS, command_delay=0.0)
    np.testing.assert_array_equal(plant.step(np.array([500.0, -500.0])).effort, [120.0, -60.0])
    np.testing.assert_array_equal(plant.step(np.array([np.nan, 1.0])).effort, [120.0, -60.0])
    np.testing.assert_array_equal(plant.step(np.array([1.0, 2.0])).effort, [1.0, 2.0])
    assert (plant.clipped, plant.rejected) == (1, 1)
    with pytest.raises(ShapeError, match="command"):
        plant.step(np.zeros(3))


def test_velocity_drive_follows_its_command_against_gravity():
    plant = plant_of(interface="velocity", **EXACT)
    for _ in range(100):
        measured = plant.step(np.array([0.5, -0.3]))
    np.testing.assert_allclose(measured.qd, [0.5, -0.3], atol=0.02)


def test_position_drive_arrives_without_overshoot_and_sags_under_a_payload():
    plant = plant_of(interface="position", **EXACT)
    reached = np.array([plant.step(np.array([0.3, -0.3])).q for _ in range(140)])
    np.testing.assert_allclose(reached[-1], [0.3, -0.3], atol=1e-4)
    assert np.abs(reached).max() < 0.33
    height = plant.truth.tip[2]
    plant.set_payload(1.0)  # its weight is not in the drive's gravity compensation
    for _ in range(200):
        sagged = plant.step(np.array([0.3, -0.3])).q
    # At rest M k (u - q) / T carries the weight of 1 kg at the hand. M in closed form: rods of 0.6 kg m^2 about their
    # own ends, 0.1 of armature at either joint, the lower rod and the payload carried by the upper one.
    a, b, c = sagged[0], sagged[0] + sagged[1], math.cos(sagged[1])
    M = np.array([[5.3 + 4 * c, 1.6 + 2 * c], [1.6 + 2 * c, 1.7]])
    weight = 9.81 * np.array([math.cos(a) + math.cos(b), math.cos(b)])
    np.testing.assert_allclose([0.3, -0.3] - sagged, 0.005 / 20 * np.linalg.solve(M, weight), rtol=0.02, atol=1e-6)
    assert plant.truth.tip[2] < height - 1e-3


def test_dry_friction_defaults_to_a_sixtieth_of_the_effort_limit():
    plant = plant_of(gravity=(0.0, 0.0, 0.0), position_noise=0.0, velocity_noise=0.0)
    start = plant.truth.q
    for _ in range(20):
        plant.step(np.array([0.0, 0.4]))  # below 0.5 N m
    np.testing.assert_allclose(plant.truth.q, start, atol=5e-4)  # MuJoCo's dry friction creeps a little
    for _ in range(20):
        plant.step(np.array([0.0, 1.5]))
    assert plant.truth.q[1] > start[1] + 1e-3


# --- disturbances --------------------------------------------------------------------------------------------


def test_friction_is_the_urdf_s_where_it_gives_some():
    """Zeros are what exporters write where nothing is known."""
    dynamics = {"shoulder": 'damping="2.5" friction="1.5"', "elbow": 'damping="0" friction="nonsense"'}
    text = ARM
    for name, given in dynamics.items():
        joint = f'<joint name="{name}" type="revolute">'
        text = text.replace(joint, f"{joint}<dynamics {given}/>")
    plant = plant_of(text)
    damping, dry = losses(PlantSettings(), plant.robot)
    np.testing.assert_array_equal(damping, [2.5, 0.1])
    np.testing.assert_array_equal(dry, [1.5, 0.5])  # at most half a newton metre where nothing is known
    np.testing.assert_array_equal(plant.model.dof_frictionloss, dry)
    damping, dry = losses(PlantSettings(), plant_of(text, interface="velocity").robot)  # its drives overcome it
    np.testing.assert_array_equal(damping, [0.1, 0.1])
    np.testing.assert_array_equal(dry, [0.5, 0.5])
    slow = plant_of(text.replace('velocity="4"', 'velocity="0.3"'), interface="velocity").robot
    np.testing.assert_allclose(losses(PlantSettings(), slow)[1], 0.2 * 0.3)  # ... and moves a slow arm all the same
    damping, dry = losses(PlantSettings(damping=(0.3,), frictionloss=(0.2,)), plant.robot)
    assert (damping == 0.3).all() and (dry == 0.2).all()


def test_a_payload_weighs_what_it_should_and_does_not_disturb_the_instant():
    plant = plant_of(**EXACT, interface="position", initial_position=(0.0,))
    for _ in range(50):
        plant.step(np.zeros(2))
    before, state = plant.truth, plant.step(np.zeros(2)).effort
    # Level rods: 2 kg at 0.5 m and 2 kg at 1.5 m of the shoulder, 2 kg at 0.5 m of the elbow.
    np.testing.assert_allclose(state, 9.81 * np.array([2 * 0.5 + 2 * 1.5, 2 * 0.5]), rtol=1e-6)
    plant.set_payload(1.5)
    np.testing.assert_array_equal(plant.truth.q, before.q)
    for _ in range(200):
        loaded = plant.step(np.zeros(2)).effort
    np.testing.assert_allclose(loaded - state, 1.5 * 9.81 * np.array([2.0, 1.0]), rtol=2e-3)
    plant.set_payload(0.0)
    for _ in range(200):
        unloaded = plant.step(np.zeros(2)).effort
    np.testing.assert_allclose(unloaded, state, rtol=1e-3)


def test_the_payload_can_hang_anywhere():
    plant = plant_of(
        **EXACT, interface="position", initial_position=(0.0,), payload_body="upper", payload_offset=(0.5, 0.0, 0.0)
    )
    plant.set_payload(2.0)
    for _ in range(200):
        effort = plant.step(np.zeros(2)).effort
    np.testing.assert_allclose(effort, 9.81 * np.array([2 * 0.5 + 2 * 1.5 + 2 * 0.5, 2 * 0.5]), rtol=2e-3)


def test_a_weakened_motor_delivers_its_fraction():
    plant = plant_of(joints=("elbow",), **WEIGHTLESS, command_delay=0.0)
    plant.scale_motor("elbow", 0.6)
    measured = plant.step(np.array([10.0]))
    assert measured.effort[0] == pytest.approx(6.0)
    assert measured.qd[0] == pytest.approx(6.0 / 0.7 * 0.005, rel=1e-6)
    with pytest.raises(JointNameError, match="did you mean 'elbow'"):
        plant.scale_motor("elbo", 0.5)


# --- models --------------------------------------------------------------------------------------------------


def test_an_mjcf_drives_the_same_robot_as_its_urdf_by_joint_name():
    own, other = (plant_of(joints=("elbow", "shoulder"), model=model, armature=(0.0,), **EXACT) for model in ("", MJCF))
    other.model.dof_damping[:] = 0.0
    assert other.model.nq == 2 and other.model.nu == 0  # the finger is locked, the motors are gone
    for plant in (own, other):
        for _ in range(40):
            plant.step(np.array([10.0, 40.0]))
    np.testing.assert_allclose(other.truth.q, own.truth.q, atol=1e-3)  # the finger weighs 1 g
    # The base stands 0.5 m above MuJoCo's floor; the tip is given in the base's frame all the same.
    np.testing.assert_allclose(other.truth.tip, own.truth.tip, atol=2e-3)


def test_an_mjcf_keeps_its_own_friction(tmp_path):
    file = tmp_path / "arm.xml"
    file.write_text(MJCF)
    assert plant_of(model=str(file), damping=(7.0,)).model.joint("shoulder").damping.ravel()[0] == 3.0
    assert plant_of(damping=(7.0,)).model.joint("shoulder").damping.ravel()[0] == 7.0


@pytest.mark.parametrize(
    "settings, error, message",
    [
        ({"rate": 300.0}, ConfigurationError, "multiple of the timestep"),
        ({"initial_position": (2.0, 0.0)}, ConfigurationError, "outside the limits of .'shoulder'"),
        ({"armature": (0.1, 0.1, 0.1)}, ConfigurationError, "armature.*1 or 2"),
        ({"gravity": (9.81,)}, ConfigurationError, "3 entries"),
        ({"marks": ("hand",), "mark_offsets": (0.1,)}, ConfigurationError, "three entries"),
        ({"payload_body": "hnd"}, RobotDescriptionError, "'hnd'.*did you mean 'hand'"),
        ({"model": MJCF.replace('"shoulder"', '"sholder"')}, JointNameError, "did you mean 'sholder'"),
        ({"model": ARM.replace('"elbow"', '"elbw"')}, JointNameError, "did you mean 'elbw'"),
        ({"model": "<mujoco><worldbody"}, RobotDescriptionError, "cannot read the model"),
        ({"model": "/nowhere/arm.xml"}, RobotDescriptionError, "cannot read.*nowhere"),
        ({"model": ARM.replace('<mass value="2"/>', '<mass value="0"/>')}, RobotDescriptionError, "(?i)mass"),
    ],
)
def test_an_unsuitable_plant_says_what_to_fix(settings, error, message):
    with pytest.raises(error, match=message):
        plant_of(**settings)


ARMS = {"panda": tuple(f"panda_joint{i}" for i in range(1, 8)), "ur5": (), "xarm7": (), "kinova": ()}


def shipped(name, interface="effort", **settings):
    try:
        importlib.metadata.distribution("example-robot-data")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("example-robot-data is not installed")
    robot = load_robot(RobotSettings(description=f"package-data:{name}", joints=ARMS[name], interface=interface))
    return Plant(PlantSettings(**settings), robot)


@pytest.mark.parametrize("interface", ["effort", "velocity", "position"])
@pytest.mark.parametrize("name", ARMS)
def test_real_arms_move_under_every_interface(name, interface):
    pytest.importorskip("casadi")
    from mbrl_ros.robots.kinematics import Kinematics
    from mbrl_ros.robots.rigid_body import gravity

    plant = shipped(name, interface, command_delay=0.0)
    robot = plant.robot
    start = plant.truth.q
    hold = gravity(robot) if interface == "effort" else None
    for _ in range(100):
        if interface == "effort":
            command = np.array(hold(plant.truth.q)).ravel() - 2.0 * plant.truth.qd
        else:
            command = np.full(robot.n, 0.3) if interface == "velocity" else start + 0.05
        plant.step(command)
    moved = plant.truth.q - start
    if interface == "effort":
        assert np.abs(moved).max() < 2e-3  # held against gravity
    else:
        # 0.3 rad/s for 0.5 s less the loop's 5 ms, or a step of 0.05 rad. Dry friction of 0.5 N m takes at most
        # T / armature times itself off a velocity, 0.025 rad/s, and that over k off a position.
        expected, short = (0.3 * 0.495, 0.025 * 0.495) if interface == "velocity" else (0.05, 0.025 / 20)
        assert np.all(moved < expected + 2e-3) and np.all(moved > expected - short - 2e-3)
    np.testing.assert_allclose(plant.truth.tip, Kinematics(robot).position(plant.truth.q), atol=1e-9)
    assert plant.clipped == 0


# --- camera --------------------------------------------------------------------------------------------------

LEVEL = CameraPose.look_at(np.array([0.0, -1.0, 0.5]), np.array([0.0, 0.0, 0.5]))  # looks along +y, 1 m from the origin
CLEAR = CameraSettings(noise=0.0, field_of_view=90.0)  # f = 1


def test_image_axes_units_and_visibility():
    points = np.array([[0, 0, 0.5], [0.2, 0, 0.5], [0, 0, 0.7], [1.1, 0, 0.5], [0, 0, -0.4], [0, -2, 0.5]])
    image, visible = project(points, LEVEL, CLEAR)
    # 0.2 m right at 1 m is u = 0.2; 0.2 m up is v = -0.2: the same unit. v's edge is 480/640 = 0.75.
    np.testing.assert_allclose(image, [[0, 0], [0.2, 0], [0, -0.2], [1.1, 0], [0, 0.9], [0, 0]], atol=1e-12)
    np.testing.assert_array_equal(visible, [True, True, True, False, False, False])


def test_roll_turns_the_camera_clockwise():
    rolled = CameraPose.look_at(np.array([0.0, -1.0, 0.5]), np.array([0.0, 0.0, 0.5]), roll=math.pi / 2)
    # The camera's right side now points down, so what is above appears on the left.
    np.testing.assert_allclose(project(np.array([[0, 0, 0.7]]), rolled, CLEAR)[0], [[-0.2, 0.0]], atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rolled.rotation), 1.0)


def test_frames_are_exposed_on_ticks_at_their_rate_and_delivered_late():
    camera = Camera(CLEAR.replace(latency=0.05, rate=30.0), LEVEL)
    delivered = {}
    for tick in range(41):  # 200 Hz; the mark is at u = tick / 1000
        for frame in camera.tick(tick * 0.005, np.array([[tick / 1000.0, 0.0, 0.5]])):
            delivered[tick] = frame
    # Due at 0, 33.3, 66.7, 100 ... ms: exposed at ticks 0, 7, 14, 20, 27 and delivered 10 ticks later.
    exposed = {tick: round(frame.stamp / 0.005) for tick, frame in delivered.items()}
    assert exposed == {10: 0, 17: 7, 24: 14, 30: 20, 37: 27}
    for frame in delivered.values():
        np.testing.assert_allclose(frame.points, [frame.stamp / 5.0, 0.0], atol=1e-12)  # as it was at exposure
        np.testing.assert_array_equal(frame.confidence, [1.0])


def test_invisible_marks_have_no_confidence_and_finite_coordinates():
    camera = Camera(CLEAR.replace(latency=0.0), LEVEL)
    (frame,) = camera.tick(0.0, np.array([[0.1, 0, 0.5], [5.0, 0, 0.5], [0, -3.0, 0.5]]))
    np.testing.assert_array_equal(frame.confidence, [1.0, 0.0, 0.0])
    np.testing.assert_allclose(frame.points, [0.1, 0, 1.0, 0, 0, 0], atol=1e-12)


def test_feature_noise_is_in_pixels_and_repeats_with_its_seed():
    settings = CameraSettings(noise=2.0, latency=0.0, seed=8)
    marks = np.tile([0.0, 0.0, 0.5], (2000, 1))
    (first,) = Camera(settings, LEVEL).tick(0.0, marks)
    (again,) = Camera(settings, LEVEL).tick(0.0, marks)
    np.testing.assert_array_equal(first.points, again.points)
    assert np.std(first.points) == pytest.approx(2.0 * 2 / 640, rel=0.08)  # 640 px are 2 units


def test_random_poses_see_the_target_from_a_sensible_place():
    settings, rng = CameraSettings(), np.random.default_rng(6)
    target = np.array([0.5, 0.1, 0.4])
    positions = []
    for _ in range(300):
        pose = random_pose(rng, target)
        image, visible = project(target[None], pose, settings)
        assert visible[0] and abs(image[0, 0]) < 0.5 and abs(image[0, 1]) < 0.5 * 0.75
        assert 0.8 <= np.linalg.norm(pose.position - target) <= 1.5 and pose.position[2] > target[2]
        assert np.linalg.norm(pose.position[:2]) > 0.6  # not inside the robot
        positions.append(pose.position)
    assert np.ptp(positions, axis=0).min() > 0.5  # and from many sides


# --- pictures ------------------------------------------------------------------------------------------------


def test_a_picture_shows_the_mark_where_the_camera_model_puts_it(caplog):
    plant = shipped("panda")
    q = np.array([0.3, -0.3, 0.0, -2.0, 0.0, 1.7, 0.8])
    plant.data.qpos[:] = q
    mark = plant.marks
    pose = CameraPose.look_at(mark[0] + [0.9, -0.3, -0.1], mark[0] + [0.0, 0.1, 0.1], roll=0.2)
    image = rendering.render(plant, q, pose, (320, 240))
    if image is None:
        pytest.skip(caplog.text)
    assert image.shape == (240, 320, 3) and image.dtype == np.uint8
    red = (image[..., 0] > 100) & (image[..., 1] < 60)
    rows, columns = np.nonzero(red)
    ((u, v),) = project(mark, pose, CameraSettings(width=320, height=240))[0]
    # The fingers hide a part of the ball, whose radius is 18 mm at about 1 m: 5 of these pixels.
    np.testing.assert_allclose([columns.mean(), rows.mean()], [159.5 + 160 * u, 119.5 + 160 * v], atol=3.0)
    np.testing.assert_array_equal(image, rendering.render(plant, q, pose, (320, 240)))


def test_no_picture_is_not_an_error(monkeypatch, caplog):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(rendering, "BACKENDS", ("absent",))
    assert rendering.render(plant_of(), np.zeros(2), LEVEL) is None
    assert "apt-get install" in caplog.text
