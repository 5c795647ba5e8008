"""RegressionPosterior in compiled code (posterior.cpp): one call where numpy needs a dozen slow ones."""

from __future__ import annotations

import ctypes
import functools

import numpy as np

from ..codegen.compiler import load_library, sources_of
from ..exceptions import CompileError
from ..types import Array
from .posterior import FARTHEST_CENTER, NOISE_FLOOR, RegressionPosterior

POSTERIOR_NUMBERS = ("forgetting", "noise_forgetting", "floor", "far", "bias", "rho", "nis", "weight")
POSTERIOR_ARRAYS = (
    "owner",
    "count",
    "squares",
    "inflation",
    "S",
    "C",
    "scatter",
    "noise_prior",
    "precision",
    "origin",
    "center",
    "W",
    "L",
    "regressors",
    "y",
    "phi",
    "error",
    "whitened",
    "Sigma",
    "work",
)


class _Structure(ctypes.Structure):
    """Mirrors `struct Posterior` of posterior.h."""

    D: int
    n: int
    noise_forgetting: float
    floor: float
    far: float
    bias: float
    rho: float
    nis: float
    forgetting: float
    weight: float
    _fields_ = (
        [(name, ctypes.c_longlong) for name in ("D", "n")]
        + [(name, ctypes.c_double) for name in POSTERIOR_NUMBERS]
        + [(name, ctypes.c_void_p) for name in POSTERIOR_ARRAYS]
    )


@functools.lru_cache(maxsize=1)
def library() -> ctypes.PyDLL | None:
    """Load the compiled functions; None where that fails, and the log has the reason."""
    functions = load_library("posterior", sources_of(__package__, "posterior.cpp", "posterior.h"))
    if functions is not None:
        functions.posterior_work_size.argtypes = [ctypes.c_longlong, ctypes.c_longlong]
        functions.posterior_work_size.restype = ctypes.c_longlong
    return functions


class CompiledPosterior(RegressionPosterior):
    """The same posterior, faster. The base class's arrays are what the compiled code works on."""

    def __init__(
        self,
        precision: Array,
        noise_std: Array,
        *,
        noise_count: float = 10.0,
        noise_forgetting: float = 0.99,
        noise_bias: float = 1.0,
    ):
        functions = library()
        if functions is None:
            raise CompileError("posterior.cpp could not be compiled; the log has the reason")
        D, n = np.shape(precision)[-1], np.size(noise_std)
        self._owner = np.zeros(n, dtype=np.int64)
        self._regressors, self._y, self._phi = np.zeros(D), np.zeros(n), np.zeros(D)
        self._work = np.zeros(functions.posterior_work_size(D, n))
        self._functions, self._state = functions, _Structure()
        self.address = ctypes.addressof(self._state)  # of the structure
        self._address = ctypes.c_void_p(self.address)
        super().__init__(
            precision, noise_std, noise_count=noise_count, noise_forgetting=noise_forgetting, noise_bias=noise_bias
        )

    def reset(self) -> None:
        """Forget everything but the prior."""
        if not self._state.D:  # while the base class sets itself up
            self._share_arrays()
        super().reset()

    def _share_arrays(self) -> None:
        """Tell the compiled code where the arrays are."""
        arrays = dict(
            owner=self._owner,
            count=self._numbers[:1],
            squares=self._numbers[1:],
            inflation=self.inflation,
            S=self.S,
            C=self.C,
            scatter=self._scatter,
            noise_prior=self._noise_prior,
            precision=self.precision,
            origin=self.origin,
            center=self.center,
            W=self.W,
            L=self._factor,
            regressors=self._regressors,
            y=self._y,
            phi=self._phi,
            error=self.error,
            whitened=self.whitened,
            Sigma=self.Sigma,
            work=self._work,
        )
        for name, array in arrays.items():
            setattr(self._state, name, array.ctypes.data)
        self._state.D, self._state.n = self.size, self.outputs
        self._state.noise_forgetting, self._state.floor = self._noise_forgetting, NOISE_FLOOR
        self._state.far, self._state.bias = FARTHEST_CENTER, self._noise_bias

    def condition(self, center: Array) -> Array:
        """See `RegressionPosterior`."""
        self.center[:] = center
        self.failed = bool(self._functions.posterior_condition(self._address))
        return self.W

    def _factors(self) -> Array:
        return self._factor[self._owner]

    def predict(self, regressors: Array, y: Array, rho: float = 0.0) -> float:
        """See `RegressionPosterior`."""
        self._regressors[:], self._y[:], self._state.rho = regressors, y, rho
        self._functions.posterior_predict(self._address)
        return self._state.nis

    def add(self, regressors: Array, y: Array, forgetting: float, weight: float = 1.0) -> None:
        """See `RegressionPosterior`."""
        self._regressors[:], self._y[:] = regressors, y
        self._state.forgetting, self._state.weight = forgetting, weight
        self._functions.posterior_add(self._address)

    def weigh(self, forgetting: float, weight: float) -> None:
        """Take these for what the compiled code adds itself; see `add`."""
        self._state.forgetting, self._state.weight = forgetting, weight

    def add_innovation(self, weight: float = 1.0) -> None:
        """See `RegressionPosterior`."""
        self._state.weight = weight
        self._functions.posterior_add_innovation(self._address)


def make_posterior(
    precision: Array,
    noise_std: Array,
    *,
    noise_count: float = 10.0,
    noise_forgetting: float = 0.99,
    noise_bias: float = 1.0,
) -> RegressionPosterior:
    """Make a posterior, compiled where it can be; see `RegressionPosterior`."""
    kind = RegressionPosterior if library() is None else CompiledPosterior
    return kind(precision, noise_std, noise_count=noise_count, noise_forgetting=noise_forgetting, noise_bias=noise_bias)
