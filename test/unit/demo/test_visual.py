"""The visual scenario: what is drawn, what the numbers mean, and the servos that it is compared with."""

from types import SimpleNamespace

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.sections.simulation import CameraSettings
from mbrl_ros.demo.visual import scenario as visual
from mbrl_ros.demo.visual.metrics import lines, missed, visual_numbers
from mbrl_ros.demo.visual.servos import SERVO_METHODS, ImageServo
from mbrl_ros.demo.visual.setup import simulation_parameters
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.kinematics import Kinematics
from mbrl_ros.robots.pose_kinematics import PoseKinematics
from mbrl_ros.robots.rotation import logarithm
from mbrl_ros.scenarios.scenario import Slot
from mbrl_ros.simulation.camera import CameraPose, project
from mbrl_ros.types import FeatureFrame
from support.needs import needs, present
from support.robots import planar_robot

pytestmark = needs("mujoco")
if present("mujoco"):
    from mbrl_ros.demo.visual.camera import SeeingCamera

CAMERA = CameraSettings()
TARGET = np.array([0.2, -0.1])
MARKER = visual.Marker("tip", np.zeros(3), np.zeros(3), 0.1)


def made(**changes) -> visual.VisualScenario:
    """A scenario of which only the times and the target matter."""
    here = CameraPose(np.zeros(3), np.eye(3))
    slot = Slot("features", 1.0, 11.0, TARGET)
    given = {"before": here, "after": here, "marker": MARKER, "bump": 6.0, "hidden": (9.0, 9.5), **changes}
    return visual.VisualScenario(0, 11.0, (slot,), 0.0, None, **given)


def truth_of(error):
    """The log of a run with this error [of the image's width] at t [s]."""
    stamps = np.arange(0.0, 11.0, 0.01)
    off = np.array([error(t) for t in stamps])
    return {"stamp": stamps, "features": TARGET + 2.0 * off[:, None] * [0.6, 0.8]}


def test_numbers_count_from_the_target_and_from_the_bump():
    def error(t):
        if t < 6.0:
            return 0.3 if t < 2.5 else 0.003
        return 0.1 if t < 7.25 else 0.05 if 9.2 <= t < 9.8 else 0.004

    numbers = visual_numbers(made(), truth_of(error))
    assert numbers["converge_s"] == pytest.approx(1.5) and numbers["bump_recover_s"] == pytest.approx(1.25)
    assert numbers["final_error_fraction"] == pytest.approx(0.004)
    assert numbers["occlusion_max_error"] == pytest.approx(0.05)
    assert missed(numbers) == ""
    assert len(list(lines({**numbers, "methods": {"broyden": numbers}}))) == 2


@pytest.mark.parametrize(
    "error, why",
    [
        (lambda t: 0.3 if t < 5.5 else 0.0, "within 2 % of the image's width after 4 s: 4.5"),
        (lambda t: 0.3, "after 4 s: never reached"),
        (lambda t: 0.006, "at rest, over the image's width, is above 0.005: 0.006"),
        (lambda t: 0.1 if 6.0 <= t < 8.5 else 0.0, "after the bump .* after 2 s: 2.5"),
    ],
)
def test_a_number_that_is_missed_is_said(error, why):
    numbers = visual_numbers(made(), truth_of(error))
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(missed(numbers))


def test_a_run_that_ended_before_has_no_numbers():
    log = truth_of(lambda t: 0.0)
    numbers = visual_numbers(made(), {name: values[:300] for name, values in log.items()})
    assert set(numbers.values()) == {None} and "never reached" in missed(numbers)


def test_angles_of_a_marker_are_about_fixed_axes():
    for angles in np.random.default_rng(0).uniform(-1.5, 1.5, (20, 3)):
        np.testing.assert_allclose(visual.roll_pitch_yaw(visual.rotation_of(angles)), angles, atol=1e-9)
    np.testing.assert_allclose(
        visual.rotation_of([np.pi / 2, 0.0, np.pi / 2]) @ [0.0, 0.0, 1.0], [1.0, 0.0, 0.0], atol=1e-12
    )


@needs("example-robot-data")
def test_what_is_drawn_can_be_seen_and_is_bumped_as_far_as_it_says():
    joints = tuple(f"panda_joint{i}" for i in range(1, 8))
    robot = load_robot(RobotSettings("package-data:panda", joints=joints, tip="panda_hand_tcp", interface="effort"))
    q = np.array([0.0, -0.3, 0.0, -2.0, 0.0, 1.7, 0.8])
    drawn = visual.build_visual_scenario(robot, q, 1, camera=CAMERA)
    again = visual.build_visual_scenario(robot, q, 1, camera=CAMERA)
    np.testing.assert_array_equal(drawn.before.position, again.before.position)
    turned = drawn.before.rotation.T @ drawn.after.rotation
    assert np.linalg.norm(logarithm(turned)) == pytest.approx(np.radians(10.0))
    assert np.linalg.norm(drawn.after.position - drawn.before.position) == pytest.approx(0.05)
    center, axes = PoseKinematics(visual.with_tool_at(robot, drawn.marker)).pose(q)
    way = drawn.before.position - center
    assert way @ axes[:, 2] > np.cos(np.radians(45.0)) * np.linalg.norm(way)
    (here,), visible = project(center[None], drawn.before, CAMERA)
    assert visible.all() and 0.25 < np.linalg.norm(drawn.slots[0].value - here) < 0.7
    for what in ({"payload_kg": 1.0}, {"duration": 5.0}, {"camera": None}):
        with pytest.raises(ConfigurationError):
            visual.build_visual_scenario(robot, q, 1, **{"camera": CAMERA, **what})


# --- servos -----------------------------------------------------------------------------------------------------------

ARM = planar_robot(interface="velocity")
KINEMATICS = Kinematics(ARM)
LOOKING = CameraPose.look_at(np.array([0.6, -1.5, 0.1]), np.array([0.6, 0.0, 0.2]))


def image_of(q):
    return project(KINEMATICS.position(q)[None], LOOKING, CAMERA)[0][0]


def test_the_image_jacobian_is_the_derivative_of_the_projection():
    q = np.array([0.3, 0.5])
    G = visual.image_jacobian(KINEMATICS.position(q), KINEMATICS.jacobian(q), LOOKING, CAMERA)
    numeric = np.column_stack([(image_of(q + d) - image_of(q - d)) / 2e-6 for d in 1e-6 * np.eye(2)])
    np.testing.assert_allclose(G, numeric, atol=1e-6)


@pytest.mark.parametrize("method", SERVO_METHODS)
def test_every_servo_reaches_its_target_within_its_limits(method):
    q, dt = np.array([0.3, 0.5]), 0.01
    target = image_of(np.array([0.1, 0.8]))
    servo = ImageServo(ARM, dt, method, camera=CAMERA, pose=LOOKING)
    errors, fastest = [], 0.0
    for k in range(500):
        frames = (FeatureFrame(k * dt, image_of(q), np.ones(1)),) if k % 5 == 0 else ()
        hidden = (FeatureFrame(k * dt, np.zeros(2), np.zeros(1)),) if frames and 300 <= k < 340 else frames
        qd = servo.command(k * dt, q, hidden, target if k >= 20 else None)
        fastest = max(fastest, float(np.abs(qd / ARM.velocity_limit).max()))
        q = q + dt * qd
        errors.append(np.linalg.norm(image_of(q) - target) / 2.0)
    assert errors[20] > 0.03 and max(errors[-50:]) < 0.002 and fastest <= 0.5 + 1e-9


def test_the_camera_is_bumped_and_covered_when_the_scenario_says():
    shots = []
    moved = CameraPose(np.array([0.0, 0.05, 0.0]), np.eye(3))
    plant = SimpleNamespace(truth=SimpleNamespace(q=np.zeros(2)))
    camera = SeeingCamera(
        CAMERA.replace(rate=20.0, latency=0.05),
        made(after=moved, bump=0.2, hidden=(0.3, 0.4)),
        plant,
        lambda exposure: shots.append(exposure),
        lambda image: (np.array([np.nan, 0.1]) if shots[-1].hidden else TARGET, float(not shots[-1].hidden)),
    )
    frames = [frame for k in range(50) for frame in camera.tick(3.0 + 0.01 * k, np.zeros((1, 3)))]
    assert [shot.number for shot in shots] == list(range(10))
    assert [shot.pose is moved for shot in shots] == [False] * 4 + [True] * 6
    assert [frame.confidence[0] for frame in frames] == [1.0] * 6 + [0.0] * 2 + [1.0]
    assert all(np.isfinite(frame.points).all() for frame in frames)


def test_sim_node_is_told_the_poses_and_nobody_else():
    told = simulation_parameters(made(), SimpleNamespace(to_mapping=lambda: {"marker": 0}))
    assert told["camera_schedule"] == [6.0] and len(told["camera_poses"]) == 24
    assert told["images"] and told["images_answered"]
    assert told["occlusion_schedule"] == [9.0, 9.5] and told["image.marker"] == 0
