"""One scenario in lockstep and in one process: plant, camera, controller and supervisor, no ROS, no clock.

The same classes as in the nodes, called in the same order, so that tests and studies run as fast as the machine can and
give the nodes' lockstep result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..controllers.base import Controller
from ..references.jogging import JOGS
from ..safety.command import Command
from ..safety.supervisor import Supervisor
from ..scenarios.scenario import Scenario
from ..simulation.camera import Camera
from ..types import Array, Decision, FeatureFrame, Observation
from .jog_scenario import JogStream

if TYPE_CHECKING:  # needs MuJoCo, which a reader of logs need not have
    from ..simulation.plant import Plant


class EpisodeLog:
    """Rows of values by name, one row per tick."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Any]] = {}

    def add(self, **row: Any) -> None:
        """Append one row; arrays are copied."""
        for name, value in row.items():
            self._rows.setdefault(name, []).append(np.array(value) if isinstance(value, np.ndarray) else value)

    def arrays(self) -> dict[str, Array]:
        """Return the columns by name, (T,) or (T, width)."""
        return {name: np.array(rows) for name, rows in self._rows.items()}


def run_episode(
    plant: Plant,
    controller: Controller,
    supervisor: Supervisor,
    scenario: Scenario,
    *,
    camera: Camera | None = None,
    progress: Callable[[range], Iterable[int]] | None = None,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Run `scenario` from reset to its end.

    Parameters
    ----------
    plant, controller, supervisor, camera : reset here (the camera is not); all at the plant's rate
    progress : wraps the range of ticks (such as tqdm), or None

    Returns
    -------
    The logs of the true state and of control, as `demo.metrics.summarise` reads them.
    """
    measurement = plant.reset()
    start = measurement.stamp
    observation = Observation(measurement.stamp, measurement.q, measurement.qd)
    controller.reset(observation)
    supervisor.reset(observation)
    if scenario.obstacles and supervisor.collisions is not None:
        supervisor.collisions.set_obstacles(scenario.obstacles)
    _set_targets(controller, scenario, start)
    truth, control, jogs = EpisodeLog(), EpisodeLog(), JogStream(scenario)
    poses, loaded = [(slot.start, slot.camera) for slot in scenario.slots_of("features") if slot.camera], False
    frames: tuple[FeatureFrame, ...] = ()
    ticks = range(round(scenario.duration / plant.period))
    for _ in ticks if progress is None else progress(ticks):
        now = plant.time - start
        if scenario.payload_time is not None and not loaded and now >= scenario.payload_time - 1e-9:
            plant.set_payload(scenario.payload_kg)
            loaded = True
        if camera is not None:
            if poses and now >= poses[0][0] - 1e-9:
                camera.pose = poses.pop(0)[1]
            frames = camera.tick(plant.time, plant.marks)
        for slot in jogs.due(measurement.stamp - start):
            jog = controller.set_twist if slot.kind == "twist" else controller.set_velocities
            jog(slot.value, stamp=measurement.stamp)
        observation = Observation(measurement.stamp, measurement.q, measurement.qd, frames)
        decision = controller.step(observation)
        command = supervisor.filter(decision, observation)
        controller.record(observation.stamp, command.u)
        state = plant.truth
        truth.add(
            stamp=now,
            q=state.q,
            qd=state.qd,
            tip=state.tip,
            u=command.u,
            features=camera.exact(plant.marks).ravel() if camera is not None else np.zeros(0),
        )
        _log_control(control, controller, observation, decision, command, start)
        measurement = plant.step(command.u)
    return truth.arrays(), control.arrays()


def _set_targets(controller: Controller, scenario: Scenario, start: float) -> None:
    for slot in scenario.slots:
        if slot.kind in JOGS:
            continue
        if slot.path is not None:
            controller.set_trajectory(slot.path, start + slot.start)
            continue
        set_target = {
            "features": controller.set_feature_target,
            "joints": controller.set_joint_target,
            "pose": controller.set_pose_target,
        }.get(slot.kind, controller.set_point_target)
        set_target(slot.value, start + slot.start)


def _log_control(
    log: EpisodeLog,
    controller: Controller,
    observation: Observation,
    decision: Decision,
    command: Command,
    start: float,
) -> None:
    innovation = decision.innovation
    log.add(
        stamp=observation.stamp - start,
        q=observation.q,
        qd=observation.qd,
        u=command.u,
        u_proposed=decision.u,
        nis=decision.nis,
        nis_bound=controller.nis_bound,
        innovation=innovation if innovation is not None else np.full(controller.robot.n, np.nan),
        reference_q=controller.joint_reference(observation.stamp),
        reference_end=controller.reference_end - start,
        plan_status=-1 if decision.plan is None else int(decision.plan.status),
        state=int(command.state),
        missed=0,
        compute_ms=1e3 * decision.seconds["tick"],
        period_us=np.nan,
        latency_ms=np.nan,
    )
