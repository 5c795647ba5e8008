"""Several teachers, one student: what they say of one state becomes one Gaussian, that of their mixture's moments.

    u = sum_i p_i u_i,    P^-1 = sum_i p_i (P_i^-1 + (u_i - u) (u_i - u)^T)

Where the teachers agree P is theirs; where they do not it is small in the directions of their dispute, and the student
is pulled there by those who agree. (Moment matching: the Gaussian nearest to the mixture in KL(mixture || Gaussian).)
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..types import Array
from .dataset import Supervision

SMALLEST = 1e-9  # of a precision, over its trace


def mixture(u: Array, P: Array, p: Array | None = None) -> tuple[Array, Array]:
    """(mean (n,), precision (n, n)) of the mixture of N(u_i, P_i^-1): u (E, n), P (E, n, n), weights p (E,), equal by
    default.
    """
    p = np.full(len(u), 1.0 / len(u)) if p is None else np.asarray(p, dtype=float) / np.sum(p)
    mean = p @ u
    r, floor = u - mean, SMALLEST * np.trace(P, axis1=1, axis2=2)[:, None, None] * np.eye(u.shape[1])
    covariance = np.einsum("e,eij->ij", p, np.linalg.inv(P + floor)) + np.einsum("e,ei,ej->ij", p, r, r)
    precision = np.linalg.inv(covariance)
    return mean, 0.5 * (precision + precision.T)


class TeacherEnsemble:
    """Puts together what `teachers` say of the same state: samples of equal stamp and joint positions."""

    def __init__(self, teachers: int):
        self.teachers = teachers
        self._open: dict[tuple, dict[str, Supervision]] = {}

    def add(self, sample: Supervision) -> Supervision | None:
        """The sample all teachers have agreed on once the last of them has spoken; with one teacher: `sample`.

        A state of which some teacher's word was lost is dropped as soon as 100 later ones are open.
        """
        if (
            self.teachers == 1
            or sample.P.ndim != 2
            or not np.isfinite(sample.P).all()
            or not np.isfinite(sample.u).all()
        ):
            return sample  # what is malformed is refused, and counted, by the memory
        key = (sample.stamp, sample.task, sample.q.tobytes())
        heard = self._open.setdefault(key, {})
        heard[sample.source] = sample
        if len(heard) < self.teachers:
            while len(self._open) > 100:
                del self._open[next(iter(self._open))]
            return None
        del self._open[key]
        first = heard[min(heard)]
        u, P = mixture(np.array([s.u for s in heard.values()]), np.array([s.P for s in heard.values()]))
        return dataclasses.replace(first, u=u, P=P)
