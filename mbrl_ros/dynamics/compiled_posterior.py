"""RegressionPosterior in compiled code (posterior.cpp): one call where numpy needs a dozen, each dearer than its work."""

from __future__ import annotations

import ctypes
import functools
from importlib.resources import files

import numpy as np

from ..codegen.compiler import load_library
from ..types import Array
from .posterior import FLOOR, RegressionPosterior

NUMBERS = ("forgetting", "noise_forgetting", "floor", "count", "inflation", "nis", "weight")
ARRAYS = (
    "S",
    "C",
    "scatter",
    "noise_prior",
    "precision",
    "centre",
    "W",
    "L",
    "regressors",
    "y",
    "phi",
    "error",
    "Sigma",
    "work",
)


class _Structure(ctypes.Structure):
    """Mirrors `struct Posterior` of posterior.cpp."""

    _fields_ = (
        [(name, ctypes.c_longlong) for name in ("D", "n")]
        + [(name, ctypes.c_double) for name in NUMBERS]
        + [(name, ctypes.c_void_p) for name in ARRAYS]
    )


@functools.lru_cache(maxsize=1)
def library() -> ctypes.PyDLL | None:
    """The compiled functions, or None; the log says why."""
    return load_library("posterior", {"posterior.cpp": (files(__package__) / "posterior.cpp").read_text()})


class CompiledPosterior(RegressionPosterior):
    """The same posterior, faster. The base class's arrays are what the compiled code works on."""

    def __init__(self, precision: Array, noise_std: Array, **options: float):
        D, n = np.size(precision), np.size(noise_std)
        self._regressors, self._y, self._phi = np.zeros(D), np.zeros(n), np.zeros(D)
        self._work = np.zeros(n * n + n + D)
        self._functions = None
        super().__init__(precision, noise_std, **options)
        arrays = dict(
            S=self.S,
            C=self.C,
            scatter=self._scatter,
            noise_prior=self._noise_prior,
            precision=self.precision,
            centre=self.centre,
            W=self.W,
            L=self._factor,
            regressors=self._regressors,
            y=self._y,
            phi=self._phi,
            error=self.error,
            Sigma=self.Sigma,
            work=self._work,
        )
        self._state = _Structure(
            D=D,
            n=n,
            noise_forgetting=self._noise_forgetting,
            floor=FLOOR,
            **{name: array.ctypes.data for name, array in arrays.items()},
        )
        self._address = ctypes.c_void_p(ctypes.addressof(self._state))
        self._functions = library()
        self.reset()

    def condition(self, centre: Array) -> Array:
        if self._functions is None:  # while the base class sets itself up
            return self.W
        self.centre[:] = centre
        self._functions.posterior_condition(self._address)
        return self.W

    def predict(self, regressors: Array, y: Array) -> float:
        self._regressors[:], self._y[:] = regressors, y
        self._state.count = self.count
        self._functions.posterior_predict(self._address)
        self.inflation = self._state.inflation
        return self._state.nis

    def add(self, regressors: Array, y: Array, forgetting: float, weight: float = 1.0) -> None:
        self._regressors[:], self._y[:] = regressors, y
        self._state.forgetting, self._state.weight = forgetting, weight
        self._functions.posterior_add(self._address)

    def add_innovation(self, weight: float = 1.0) -> None:
        self._state.count, self._state.inflation, self._state.weight = self.count, self.inflation, weight
        self._functions.posterior_add_innovation(self._address)
        self.count = self._state.count
