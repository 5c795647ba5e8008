"""Visual runs in one process and in lockstep, on the same images: this package's controller, or one of the servos."""

from __future__ import annotations

from ...simulation.camera import Camera
from ...simulation.plant import Plant
from ...types import Array, FeatureFrame
from ..episode import EpisodeLog
from .scenario import VisualScenario
from .servos import ImageServo


def run_servo(plant: Plant, servo: ImageServo, scenario: VisualScenario, camera: Camera) -> dict[str, Array]:
    """Run a servo on `plant`, which takes velocities, from reset to the end of the scenario.

    Returns
    -------
    The log of the true state, as `visual_numbers` reads it.
    """
    measurement = plant.reset()
    start, (slot,), log = measurement.stamp, scenario.slots, EpisodeLog()
    for _ in range(round(scenario.duration / plant.period)):
        now = plant.time - start
        frames: tuple[FeatureFrame, ...] = camera.tick(plant.time, plant.marks)
        target = slot.value if now >= slot.start - 1e-9 else None
        u = servo.command(measurement.stamp, measurement.q, frames, target)
        truth = plant.truth
        log.add(stamp=now, q=truth.q, qd=truth.qd, u=u, features=camera.exact(plant.marks).ravel())
        measurement = plant.step(u)
    return log.arrays()
