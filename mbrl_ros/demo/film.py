"""A film of a run of the demo: the true motion of the arm, and what the controller planned."""

from __future__ import annotations

import bisect
import math
from pathlib import Path

import numpy as np

from ..console.progress import Progress
from ..messages.drawn_plan import DrawnPlan
from ..robots import sources
from ..robots.kinematics import Kinematics
from ..safety.state_machine import State
from ..scenarios.scenario import Scenario
from ..types import Array
from ..view.filming import FilmOptions, make
from ..view.shapes import read_shapes
from ..view.snapshot import CURVE_LENGTH, MOST_CURVE_POINTS, Curves, Snapshot
from .metrics import Log
from .run import START_STAMP, Run

OLDEST_PLAN = 0.5  # [s] from when on a plan is shown no longer
SAME_TIME = 1e-9  # [s] of rounding
STATUS_COLUMNS = ("latency_ms", "compute_ms", "nis", "nis_bound", "missed")


class RunMoments:
    """The moments of a finished run; stamps [s] count from its start.

    truth, control: its tables, as `run.logs` returns them; plans [(stamp of the state [s], plan)] as they were heard.
    """

    def __init__(self, demo: Run, truth: Log, control: Log, plans: list[tuple[float, DrawnPlan]]):
        self._demo, self._truth, self._control = demo, truth, control
        self._kinematics = Kinematics(demo.robot)
        in_order = sorted(plans, key=lambda entry: entry[0])
        self._plan_stamps = [stamp - START_STAMP for stamp, _ in in_order]
        self._plans = [plan for _, plan in in_order]
        self._targets = [self._place(slot.kind, slot.value) for slot in demo.scenario.slots]
        self.begin, self.end = float(truth["stamp"][0]), float(truth["stamp"][-1])
        self._curves = self._all_curves()

    @property
    def title(self) -> str:
        """Return the name of the run."""
        return f"{self._demo.options.config.stem}, {self._demo.options.mode}"

    def at(self, stamp: float) -> Snapshot:
        """Return the moment at `stamp` [s]."""
        row = _row(self._truth["stamp"], stamp)
        plan, status = self._plan(stamp), self._status(stamp)
        until = self._curves["time"].searchsorted(stamp, side="right")
        return Snapshot(
            stamp,
            dict(zip(self._demo.robot.joints, self._truth["q"][row].tolist(), strict=True)),
            path=plan.path if plan else None,
            tube=plan.tube if plan else None,
            target=self._target(stamp),
            status=status,
            supervisor=State(int(status["supervisor_state"])).name if status else "",
            messages=(phase(self._demo.scenario, stamp),),
            curves={name: values[max(0, until - MOST_CURVE_POINTS) : until] for name, values in self._curves.items()},
        )

    def _plan(self, stamp: float) -> DrawnPlan | None:
        k = bisect.bisect_right(self._plan_stamps, stamp)
        return self._plans[k - 1] if k and stamp - self._plan_stamps[k - 1] <= OLDEST_PLAN else None

    def _status(self, stamp: float) -> dict[str, float]:
        """Return the fields of ~/status that the table has; none before the first tick."""
        control = self._control
        row = _row(control["stamp"], stamp)
        if control["stamp"][row] > stamp + SAME_TIME:
            return {}
        return {
            "supervisor_state": float(control["state"][row]),
            **{key: float(control[key][row]) for key in STATUS_COLUMNS},
        }

    def _target(self, stamp: float) -> Array | None:
        """Return where the end effector is to be (3,) [m]; None where no point is given."""
        slots = self._demo.scenario.slots
        return next((p for slot, p in zip(slots, self._targets, strict=True) if slot.start <= stamp < slot.end), None)

    def _place(self, kind: str, value: Array) -> Array | None:
        if kind == "joints":
            return self._kinematics.position(value)
        return value[:3] if kind in ("point", "return", "pose") else None

    def _all_curves(self) -> dict[str, Array]:
        curves = Curves(CURVE_LENGTH / MOST_CURVE_POINTS, length=math.inf)
        for row, stamp in enumerate(self._truth["stamp"].tolist()):
            if curves.due(stamp):
                target = self._target(stamp)
                off = math.nan if target is None else 1e3 * float(np.linalg.norm(self._truth["tip"][row] - target))
                curves.add(stamp, {"distance": off})
        return curves.arrays()


def _row(stamps: Array, stamp: float) -> int:
    """Return the newest row at `stamp`, the first one before."""
    return max(0, int(stamps.searchsorted(stamp + SAME_TIME, side="right")) - 1)


def phase(scenario: Scenario, t: float) -> str:
    """Return what happens at t [s]."""
    slot = next((s for s in reversed(scenario.slots) if s.start <= t), None)
    if slot is None:
        return "hold"
    same = scenario.slots_of(slot.kind)
    names = {"point": "target", "features": "camera", "return": "return", "pose": "pose", "twist": "twist"}
    name = names.get(slot.kind, "joint jog")
    loaded = scenario.payload_time is not None and t >= scenario.payload_time
    return f"{name} {same.index(slot) + 1}/{len(same)}{f' +{scenario.payload_kg:g} kg' if loaded else ''}"


def film(
    demo: Run,
    truth: Log,
    control: Log,
    plans: list[tuple[float, DrawnPlan]],
    options: FilmOptions,
    shown: Progress,
) -> Path:
    """Write the film of a run, see `RunMoments`; return its file."""
    shapes = read_shapes(sources.read(demo.description), sources.folder_of(demo.description))
    undrawn = make(shapes, RunMoments(demo, truth, control, plans), options, shown)
    if undrawn:
        shown.note(f"{len(undrawn)} meshes are not in the film, the first is {undrawn[0]}")
    return options.file
