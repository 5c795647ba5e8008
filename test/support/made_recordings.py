"""Recordings of made-up linear arms: what there is to learn of them is known."""

import numpy as np

from mbrl_ros.data import Recording
from mbrl_ros.data.cleaning import cleaned
from mbrl_ros.dynamics import OnlineDynamics
from mbrl_ros.evaluation.scores import anonymous_robot, dynamics_for, unknown_robot_prior

GAIN = np.array([[8.0, 1.0], [-0.5, 12.0]])  # of the made arm [rad/s^2 per unit of command]


def made_recording(T=2000, noise=0.01, dt=0.01, seed=0, load=None, feedback=None, tail=False):
    """Return a recording of qdd = GAIN u - 4 q - qd + noise, of two joints.

    load : (tick, (2,) [rad/s^2]): an acceleration from then on, as by a payload
    feedback : gains of u = -feedback (q - target(t)) - feedback/4 qd, without anything random; None: random commands
    tail : noise with heavy tails (Student's t with three degrees of freedom) of the same variance
    """
    rng = np.random.default_rng(seed)
    q, qd, rows = np.zeros(2), np.zeros(2), []
    for k in range(T):
        wave = np.sin(np.array([1.0, 1.7]) * k * dt)
        u = rng.standard_normal(2) + wave if feedback is None else -feedback * (q - wave) - 0.25 * feedback * qd
        rows.append((k * dt, q, qd, u))
        e = rng.standard_t(3, 2) / np.sqrt(3.0) if tail else rng.standard_normal(2)
        pull = np.asarray(load[1]) if load and k >= load[0] else 0.0
        change = dt * (GAIN @ u - 4.0 * q - qd + pull) + noise * e
        q, qd = q + dt * (qd + 0.5 * change), qd + change
    stamps, Q, QD, U = (np.array(column) for column in zip(*rows, strict=True))
    return cleaned("made", ("a", "b"), stamps, Q, QD, U, u_source="made up")


def learner(recording: Recording, estimator: str = "refit") -> OnlineDynamics:
    robot = anonymous_robot(recording)
    return dynamics_for(recording, robot, estimator, unknown_robot_prior(robot, recording.period))
