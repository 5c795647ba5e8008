"""One scenario in lockstep and in one process: plant, camera, controller and supervisor, no ROS, no clock.

The same classes as in the nodes, in the same order, so that tests and studies run as fast as the machine can and give
the nodes' lockstep result.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..types import Array, FeatureFrame, Observation


class Log:
    """Rows by name, one per tick; arrays at the end."""

    def __init__(self) -> None:
        self._rows: dict[str, list] = {}

    def add(self, **row) -> None:
        for name, value in row.items():
            self._rows.setdefault(name, []).append(np.array(value) if isinstance(value, np.ndarray) else value)

    def arrays(self) -> dict[str, Array]:
        return {name: np.array(rows) for name, rows in self._rows.items()}


def run_episode(plant, controller, supervisor, scenario, *, camera=None, progress: Iterable | None = None):
    """Run `scenario` from reset to its end; (truth, control) logs as `demo.metrics.summarise` reads them.

    progress: wraps the range of ticks (tqdm), or None.
    """
    measurement = plant.reset()
    dt = plant.period
    start = measurement.stamp
    observation = Observation(measurement.stamp, measurement.q, measurement.qd)
    controller.reset(observation)
    supervisor.reset(observation)
    for slot in scenario.slots:
        set_target = {"features": controller.set_feature_target, "joints": controller.set_joint_target}.get(
            slot.kind, controller.set_point_target
        )
        set_target(slot.value, start + slot.start)
    truth, control = Log(), Log()
    jumps, loaded = scenario.slots_of("features"), False
    frames: tuple[FeatureFrame, ...] = ()
    ticks = range(round(scenario.duration / dt))
    for _ in ticks if progress is None else progress(ticks):
        now = plant.time - start
        if scenario.payload_time is not None and not loaded and now >= scenario.payload_time - 1e-9:
            plant.set_payload(scenario.payload_kg)
            loaded = True
        if camera is not None:
            if jumps and now >= jumps[0].start - 1e-9:
                camera.pose = jumps.pop(0).camera
            frames = camera.tick(plant.time, plant.marks)
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
        control.add(
            stamp=measurement.stamp - start,
            q=measurement.q,
            qd=measurement.qd,
            u=command.u,
            u_proposed=decision.u,
            nis=decision.nis,
            nis_bound=controller.nis_bound,
            innovation=decision.innovation if decision.innovation is not None else np.full(controller.n, np.nan),
            reference_q=controller.target_manager.joints.at(measurement.stamp),
            reference_end=controller.reference_end - start,
            plan_status=-1 if decision.plan is None else int(decision.plan.status),
            state=int(command.state),
            missed=0,
            compute_ms=1e3 * decision.seconds["tick"],
            period_us=np.nan,
            latency_ms=np.nan,
        )
        measurement = plant.step(command.u)
    return truth.arrays(), control.arrays()
