"""What follows a visual run: the servos on the same images, the film strip, and the errors of all over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...console.colors import ACCENT, INK, PALE, WARN
from ...exceptions import ConfigurationError
from ...robots import load_robot
from ...robots.kinematics import Kinematics
from ...simulation.camera import CameraPose, project
from ...types import Array
from ..figures import Draw
from ..metrics import Log
from .camera import SeeingCamera, marker_finder
from .episode import run_servo
from .metrics import IMAGE_REACHED, error_of, visual_numbers
from .scenario import VisualScenario, with_tool_at
from .servos import SERVO_METHODS, ImageServo

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...simulation.pictures import Pictures
    from ..run import Run

METHOD_COLORS = {"own": ACCENT, "broyden": WARN, "rls": "#7a8a99", "calibrated": INK}


def opened(demo: Run) -> Pictures:
    """Return what takes the images of a run in this process.

    Raises
    ------
    ConfigurationError
        Nothing can draw here, or OpenCV is missing: says what to install.
    """
    from ...simulation.pictures import Pictures

    marker_finder(demo.image.marker)
    try:
        return Pictures(demo.robot, demo.plant, demo.camera, demo.image)
    except RuntimeError as error:
        raise ConfigurationError(f"the visual scenario renders images: {error}") from None


def servo_logs(
    demo: Run,
    scenario: VisualScenario,
    pictures: Pictures,
    show: Callable[[str], None] = lambda _: None,
    methods: tuple[str, ...] = SERVO_METHODS,
) -> dict[str, Log]:
    """Run the servos on the same arm, with drives that take velocities, and the same scenario; return their logs."""
    from ...simulation.plant import Plant

    settings = demo.configuration.robot.replace(interface="velocity")
    robot = load_robot(settings, demo.node_values.get("robot_description"))
    logs = {}
    for method in methods:
        show(f"the servo '{method}' on the same images")
        plant = Plant(demo.plant.replace(joint_stiffness=()), robot)
        camera = SeeingCamera(demo.camera, scenario, plant, pictures, marker_finder(demo.image.marker))
        tool = with_tool_at(robot, scenario.marker)
        servo = ImageServo(tool, plant.period, method, camera=demo.camera, pose=scenario.before)
        logs[method] = run_servo(plant, servo, scenario, camera)
    return logs


def numbers(scenario: VisualScenario, truth: Log, servos: dict[str, Log]) -> dict[str, Any]:
    """Return the entry `visual` of summary.json."""
    return {
        **visual_numbers(scenario, truth),
        "methods": {name: visual_numbers(scenario, log) for name, log in servos.items()},
    }


def compared(
    demo: Run, scenario: VisualScenario, truth: Log, show: Callable[[str], None]
) -> tuple[dict[str, Any], dict[str, Draw]]:
    """Return the entry `visual` of summary.json, and pictures for the report of a run with the log `truth`."""
    with opened(demo) as pictures:
        servos = servo_logs(demo, scenario, pictures, show)
        show("drawing the film strip")
        strip = film(demo, scenario, pictures, truth)
    return numbers(scenario, truth, servos), {
        "film": lambda *_: strip,
        "errors": lambda *_: errors(scenario, truth, servos),
    }


def film(demo: Run, scenario: VisualScenario, pictures: Pictures, truth: Log) -> Figure:
    """Draw six images of the run with the target and the marker's path until then."""
    from matplotlib.figure import Figure

    from ...simulation.pictures import Exposure

    kinematics, start = Kinematics(with_tool_at(demo.robot, scenario.marker)), scenario.slots[0].start
    times = {
        "the target is given": start,
        "0.8 s later": start + 0.8,
        "before the bump": scenario.bump - 0.05,
        "after the bump": scenario.bump + 0.05,
        "hidden": float(np.mean(scenario.hidden)),
        "at the end": scenario.duration - 0.05,
    }
    figure = Figure(figsize=(11, 6.0), layout="constrained")
    for axis, (what, at) in zip(figure.subplots(2, 3).ravel(), times.items(), strict=True):
        axis.set(xticks=[], yticks=[], title=f"{what}, {at:.2f} s")
        k = min(int(np.searchsorted(truth["stamp"], at)), len(truth["stamp"]) - 1)
        pose = scenario.before if at < scenario.bump else scenario.after
        hidden = scenario.hidden[0] <= at < scenario.hidden[1]
        centers = _centers(kinematics, truth, k, start if at < scenario.bump else scenario.bump)
        axis.imshow(pictures(Exposure(k, at, truth["q"][k], pose, centers[-1], hidden)))
        path = _pixels(centers, pose, demo)
        axis.plot(*path.T, color="white", lw=3)
        axis.plot(*path.T, color=ACCENT, lw=1.5)
        target = demo.camera.width / 2 * scenario.slots[0].value + _middle(demo)
        axis.plot(*target, "+", color=WARN, ms=14, mew=2.5)
        axis.set(xlim=(0, demo.camera.width - 1), ylim=(demo.camera.height - 1, 0))
    return figure


def errors(scenario: VisualScenario, truth: Log, servos: dict[str, Log]) -> Figure:
    """Draw the error of every method over time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axis = figure.subplots()
    for name, log in {**servos, "own": truth}.items():
        percent = 100.0 * np.maximum(error_of(scenario, log), 1e-5)
        axis.semilogy(log["stamp"], percent, color=METHOD_COLORS[name], lw=1.8 if name == "own" else 1.0, label=name)
    axis.axhline(100.0 * IMAGE_REACHED, color=INK, ls=":", lw=1)
    axis.axvline(scenario.slots[0].start, color=PALE, lw=1)
    axis.axvline(scenario.bump, color=WARN, lw=1)
    axis.axvspan(*scenario.hidden, color=PALE, alpha=0.6)
    axis.set(
        xlabel="time [s]; red: the bump; gray: the marker is hidden",
        ylabel="marker to target\n[% of image width]",
        title="Error in the image, true position",
    )
    axis.legend(frameon=False, ncols=4)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def _centers(kinematics: Kinematics, truth: Log, k: int, since: float) -> Array:
    """Return where the marker's center was (T, 3) [m] at the ticks from `since` [s] to number k."""
    first = min(int(np.searchsorted(truth["stamp"], since)), k)
    return kinematics.positions(truth["q"][[*range(first, k, 10), k]])


def _pixels(centers: Array, pose: CameraPose, demo: Run) -> Array:
    found: Array = demo.camera.width / 2 * project(centers, pose, demo.camera)[0] + _middle(demo)
    return found


def _middle(demo: Run) -> Array:
    return (np.array([demo.camera.width, demo.camera.height]) - 1.0) / 2.0
