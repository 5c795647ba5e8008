"""Run a scenario with the real nodes from beginning to end, with progress, summary and report."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..console.progress import Progress
from ..console.verdict import Verdict
from ..exceptions import MbrlError
from ..robots import Robot
from ..robots.kinematics import Kinematics, first_joint
from ..scenarios.proportions import Proportions
from ..scenarios.scenario import Scenario
from ..types import Array
from ..view.filming import FilmOptions
from .figures import Draw
from .film import film, phase
from .heard import Heard
from .jog_metrics import jogged
from .metrics import Log, answered, lost_at, summarise, until
from .pick_figure import draw_scene
from .pick_metrics import picked, scene_of
from .pose_metrics import pose_targets
from .processes import CouldNotStart, Processes
from .report import page, write_report
from .run import Options, Run, logs
from .summary_text import text
from .verdict import of_run
from .viewer import Viewer
from .visual.scenario import VisualScenario

# of the picture: turned from the end effector's direction, above it [rad], and away, of the reach
PICTURE_VIEW = (-0.72, 0.29, 1.9)

Sent = list[tuple[float, int]]  # jog_scenario.JogStream.sent

_log = logging.getLogger(__name__)


def run(
    options: Options,
    folder: Path,
    *,
    label: str,
    picture: bool,
    view: bool = False,
    video: FilmOptions | None = None,
) -> dict[str, Any]:
    """Run one scenario with the real nodes and write its report.

    Parameters
    ----------
    options
        What to run.
    folder
        Where report.html, summary.json, the pictures, the parameter files and the logs go.
    label
        Name of the run in the progress.
    picture, view
        Whether to draw the robot, and whether to show the run in the browser.
    video
        The film that is made of it; None: none.

    Returns
    -------
    dict
        The summary, which holds the verdict; of a run in which a node failed, the verdict alone.

    Raises
    ------
    CouldNotStart
        A node rejected its settings.
    """
    from .session import AFTERMATH

    demo = _prepared(options)
    folder.mkdir(parents=True, exist_ok=True)
    with Progress(label, demo.scenario.duration) as shown, contextlib.ExitStack() as pages:
        error, wall, heard = _play(demo, folder, label, shown, pages=pages if view else None, film=video is not None)
        shown.show("writing the report")
        no_tick = f"no tick was recorded; see {folder / 'mpc_node.log'}"
        if not error and not (folder / "control.npz").exists():
            error = no_tick
        if error:
            return _write_failure(folder, options.seed, error)
        truth, control, facts = logs(folder)
        control = answered(truth, control)
        if not control["stamp"].size:
            return _write_failure(folder, options.seed, no_tick)
        lost = lost_at(control)
        if lost is not None and options.ends_when_lost:  # when the run ended after that depends on the machine
            truth, control = (until(lost + AFTERMATH, log) for log in (truth, control))
        facts["wall_s"] = round(wall, 1)
        summary = _reported(demo, folder, Tables(truth, control, facts), heard, picture=picture, shown=shown)
        if video is not None:
            film(demo, truth, control, heard.plans, video, shown)
    return summary


class Tables(NamedTuple):
    """The tables of a finished run, `run.logs`."""

    truth: Log
    control: Log
    facts: dict[str, Any]


def _reported(
    demo: Run, folder: Path, tables: Tables, heard: Heard, *, picture: bool, shown: Progress
) -> dict[str, Any]:
    """Write the report of a run; return its summary."""
    from ..nodes.session_info import versions

    truth, control, facts = tables
    summary, more = _summary(demo, truth, control, heard.changes, shown.show)
    summary["ticks"].update(mode=demo.options.mode, wall_s=facts["wall_s"], fallbacks=facts.get("fallbacks", []))
    summary.update(verdict=of_run(summary).to_json(), versions=versions())
    write_report(
        folder,
        demo.scenario,
        demo.robot,
        truth,
        control,
        summary,
        given=given(demo),
        details=text(summary),
        picture=_picture(demo, truth) if picture else None,
        more=more,
    )
    return summary


def _prepared(options: Options) -> Run:
    """Return what to run; an error, before anything runs, where what its images need is missing."""
    demo = Run(options)
    if isinstance(demo.scenario, VisualScenario):
        from .visual.compare import opened

        opened(demo).close()
    return demo


def _play(
    demo: Run, folder: Path, label: str, shown: Progress, *, pages: contextlib.ExitStack | None, film: bool
) -> tuple[str, float, Heard]:
    """Run the nodes; return what broke them (empty: nothing), the real time from the first tick on [s], the rest.

    The page in the browser ends with `pages`; None: there is none.
    """
    from .session import play

    options, error, heard = demo.options, "", Heard()
    with contextlib.ExitStack() as opened:
        processes = opened.enter_context(Processes(demo.parameters(folder), folder, options.domain))
        shown.note(
            f"{label}: {options.mode}, DDS domain {processes.domain}, on this machine only; for other tools: "
            f"ROS_DOMAIN_ID={processes.domain} ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST"
        )
        viewer = None
        if pages is not None:
            viewer = pages.enter_context(Viewer(demo.description, processes.environment, folder))
        listener, started = _ProgressListener(demo.scenario, shown, viewer), time.monotonic()
        try:
            heard = play(demo.scenario, processes, demo.robot, listener, options.ends_when_lost, film=film)
        except CouldNotStart:
            raise
        except MbrlError as failure:
            error = str(failure)
        shown.show("ending the nodes")
        return error, time.monotonic() - (listener.started or started), heard


def _summary(
    demo: Run, truth: Log, control: Log, sent: Sent, show: Callable[[str], None]
) -> tuple[dict[str, Any], dict[str, Draw]]:
    """Return the summary of a run, and further pictures for its report."""
    summary = summarise(
        demo.scenario,
        demo.robot,
        truth,
        control,
        rate_hz=demo.rate,
        horizon=demo.configuration.planner.horizon,
        estimator=demo.configuration.dynamics.estimator,
    )
    if demo.options.scenario == "jog":
        summary["jog"] = jogged(demo.scenario, demo.robot, truth, control, sent, demo.configuration.reference)
    if demo.scenario.slots_of("pose"):
        summary["poses"] = pose_targets(demo.scenario, demo.robot, truth, control)
    if isinstance(demo.scenario, VisualScenario):
        from .visual.compare import compared

        summary["visual"], drawn = compared(demo, demo.scenario, truth, show)
        return summary, drawn
    if not demo.scenario.obstacles:
        return summary, {}
    scene = scene_of(demo.scenario, demo.robot, demo.configuration)
    summary["pick"] = picked(demo.scenario, scene, truth, summary["poses"], summary["tolerance_mm"])
    return summary, {"scene": functools.partial(draw_scene, scene, demo.configuration.collision.clearance)}


def _write_failure(folder: Path, seed: int, error: str) -> dict[str, Any]:
    """Write summary and report of a run in which a node failed."""
    first, _, rest = error.partition("\n")
    verdict = Verdict(False, first.rstrip(":"), None, f"{folder / 'mpc_node.log'} and sim_node.log beside it")
    summary = {"seed": seed, "verdict": verdict.to_json(), "error": rest}
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    (folder / "report.html").write_text(
        page(f"mbrl_ros demo, seed {seed}", verdict, "The run failed", error, summary, {}), encoding="utf-8"
    )
    return summary


def given(demo: Run) -> str:
    """Return what the controller knew and did, in a sentence that is true of this configuration."""
    control, dynamics = demo.configuration.control, demo.configuration.dynamics
    if control.controller == "pid":
        return "A PID controller with the gravity of the URDF moved the arm."
    known = (
        "The controller was given no model of gravity, friction or load"
        if dynamics.prior == "integrator"
        else f"The controller began with the prior '{dynamics.prior}'"
    )
    learning = (
        "the dynamics were fitted again at every tick to what it measured"
        if dynamics.estimator == "refit"
        else f"the estimator was '{dynamics.estimator}'"
    )
    return f"{known}; {learning}."


class _ProgressListener:
    """Shows the progress of a session."""

    def __init__(self, scenario: Scenario, shown: Progress, viewer: Viewer | None):
        self._scenario, self._shown, self._viewer = scenario, shown, viewer
        self.started: float | None = None  # when the first tick was reported [s], monotonic

    def waiting(self, what: str) -> None:
        self._shown.show(what)

    def progress(self, seconds: float) -> None:
        if self.started is None:
            self.started = time.monotonic()
        if self._viewer is not None and (news := self._viewer.news()):
            self._shown.note(news)
        self._shown.show(phase(self._scenario, seconds), min(seconds, self._scenario.duration))

    def note(self, text: str) -> None:
        self._shown.note(text)


def _picture(demo: Run, truth: Log) -> Any:
    """Draw the robot as it was when the payload came; None where it cannot be drawn."""
    try:
        from ..simulation.camera import CameraPose
        from ..simulation.plant import Plant
        from ..simulation.rendering import render

        at = demo.scenario.payload_time or 0.0
        q = truth["q"][min(int(at * demo.rate), len(truth["q"]) - 1)]
        pose = CameraPose.look_at(*_view(demo.robot, q))
        return render(Plant(demo.plant, demo.robot), q, pose, size=(960, 640))
    except Exception as error:  # without a driver for rendering the report has no picture
        _log.info("no picture of the robot: %s", error)
        return None


def _view(robot: Robot, q: Array) -> tuple[Array, Array]:
    """Return where a camera that sees the whole arm at q (n,) stands, and what it looks at, (3,) [m] each."""
    base, tip = first_joint(robot), Kinematics(robot).position(q)
    middle = 0.5 * (base + tip)
    azimuth = np.arctan2(*(tip - base)[1::-1]) + PICTURE_VIEW[0]
    aside, above = np.cos(PICTURE_VIEW[1]), np.sin(PICTURE_VIEW[1])
    away = np.array([aside * np.cos(azimuth), aside * np.sin(azimuth), above])
    return middle + PICTURE_VIEW[2] * Proportions(robot).reach * away, middle
