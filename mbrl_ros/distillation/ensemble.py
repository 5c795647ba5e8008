"""Several teachers of one student: their labels of one state become one Gaussian, that of their mixture's moments.

    u = sum_i p_i u_i,    P^-1 = sum_i p_i (P_i^-1 + (u_i - u) (u_i - u)^T)

Where the teachers agree P is theirs; where they do not it is small in the directions in which they differ, and the
student follows other samples there. (Moment matching: the Gaussian nearest to the mixture in KL(mixture || Gaussian).)
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..types import Array
from .dataset import Supervision

SMALLEST_VARIANCE = 1e-9  # of a precision, over its trace
OPEN = 100  # states for which labels of some teachers are awaited


def mixture(u: Array, P: Array, p: Array | None = None) -> tuple[Array, Array]:
    """Return mean (n,) and precision (n, n) of the mixture of N(u_i, P_i^-1).

    u (E, n), P (E, n, n), weights p (E,), equal by default.
    """
    p = np.full(len(u), 1.0 / len(u)) if p is None else np.asarray(p, dtype=float) / np.sum(p)
    mean = p @ u
    r, floor = u - mean, SMALLEST_VARIANCE * np.trace(P, axis1=1, axis2=2)[:, None, None] * np.eye(u.shape[1])
    covariance = np.einsum("e,eij->ij", p, np.linalg.inv(P + floor)) + np.einsum("e,ei,ej->ij", p, r, r)
    precision = np.linalg.inv(covariance)
    return mean, 0.5 * (precision + precision.T)


class TeacherEnsemble:
    """Joins the labels of `teachers` for the same state: samples of equal stamp, task and joint positions."""

    def __init__(self, teachers: int):
        self.teachers = teachers
        self._open: dict[tuple[float, int, bytes], dict[str, Supervision]] = {}

    def add(self, sample: Supervision) -> Supervision | None:
        """Return the joint sample once the last teacher's label of its state has come; with one teacher: `sample`.

        A state for which some teacher's label was lost is dropped as soon as OPEN later ones are waiting. A malformed
        sample is returned as it is: the memory refuses and counts it.
        """
        well_formed = sample.P.shape == 2 * sample.u.shape and bool(
            np.isfinite(sample.P).all() and np.isfinite(sample.u).all() and np.trace(sample.P) > 0.0
        )
        if self.teachers == 1 or not well_formed:
            return sample
        key = (sample.stamp, sample.task, sample.q.tobytes())
        labels = self._open.setdefault(key, {})
        labels[sample.source] = sample
        if len(labels) < self.teachers:
            while len(self._open) > OPEN:
                del self._open[next(iter(self._open))]
            return None
        del self._open[key]
        first = labels[min(labels)]
        try:
            u, P = mixture(np.array([s.u for s in labels.values()]), np.array([s.P for s in labels.values()]))
        except (np.linalg.LinAlgError, ValueError):  # a precision that is none, or labels of different sizes
            return dataclasses.replace(first, P=np.zeros_like(first.P))  # which the memory refuses and counts
        return dataclasses.replace(first, u=u, P=P)
