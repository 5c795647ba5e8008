"""LocalModel in compiled code (local_model.cpp): one call for each of the three steps of a tick.

Where the prior is linear, posterior and prior are part of the calls. Of the prior the compiled code has a copy, which
`take_prior` renews: a linear prior changes only when it is moved.
"""

from __future__ import annotations

import ctypes
import functools

import numpy as np

from ..codegen.compiler import load_library, sources_of
from ..types import Array, CommandVector, Gain, LinearGaussianDynamics
from .compiled_posterior import CompiledPosterior
from .local_model import NOISE_RANGE, UNEVEN, Comparison, LocalModel, Timing
from .posterior import RegressionPosterior
from .priors.base import Prior
from .state_equations import StateEquations

MODEL_INTEGERS = ("n", "m", "stages", "servo", "offset_only", "linear", "regressors", "timed", "kept", "finite")
MODEL_NUMBERS = ("half", "scale", "rho", "nis", "noise_std", "least_noise", "most_noise", "uneven", "share")
MODEL_ARRAYS = (
    *("known_F", "step", "u_scale", "W", "center", "noise", "G", "jacobian", "Z", "now", "neighbors", "after"),
    *("slope", "offset", "belief", "mean", "F", "f", "Sigma", "gain", "expected", "covariance", "variances"),
)


class _Structure(ctypes.Structure):
    """Mirrors `struct Model` of local_model.h."""

    stages: int
    linear: int
    timed: int
    kept: int
    finite: int
    scale: float
    rho: float
    nis: float
    noise_std: float
    share: float
    posterior: int
    _fields_ = (
        [(name, ctypes.c_longlong) for name in MODEL_INTEGERS]
        + [(name, ctypes.c_double) for name in MODEL_NUMBERS]
        + [(name, ctypes.c_void_p) for name in (*MODEL_ARRAYS, "posterior")]
    )


@functools.lru_cache(maxsize=1)
def library() -> ctypes.PyDLL | None:
    """Load the compiled functions; None where that fails, and the log has the reason."""
    return load_library(
        "local_model", sources_of(__package__, "local_model.cpp", "local_model.h", "posterior.cpp", "posterior.h")
    )


class CompiledLocalModel(LocalModel):
    """The same in compiled code, which works on the arrays of the posterior and of the equations in place."""

    def __init__(
        self,
        functions: ctypes.PyDLL,
        equations: StateEquations,
        posterior: RegressionPosterior,
        prior: Prior,
        u_scale: Array,
        servo: slice | None,
        offset_only: bool,
    ):
        super().__init__(equations, posterior, prior, u_scale, servo, offset_only)
        self._functions, self._state, n = functions, _Structure(), equations.n
        self.address = ctypes.addressof(self._state)  # of the structure
        self._address = ctypes.c_void_p(self.address)
        self._arrays = dict(
            known_F=equations.known_F,
            step=equations.step,
            u_scale=np.ascontiguousarray(u_scale, dtype=np.float64),
            W=posterior.W,
            center=posterior.center,
            noise=posterior.Sigma,
            G=np.zeros((equations.m, n)),
            now=np.zeros(3 * n),
            neighbors=np.zeros((2, n)),
            after=np.zeros(n),
            slope=np.zeros((n, 3 * n)),
            offset=np.zeros(n),
            belief=np.zeros(posterior.size),
            Sigma=np.zeros((1, equations.nx, equations.nx)),
            gain=np.zeros((n, n)),
            expected=np.zeros(n),
            covariance=np.zeros((n, n)),
            variances=np.zeros(n),
        )
        state, arrays = self._state, self._arrays
        state.n, state.m, state.regressors = n, equations.m, posterior.size
        state.servo, state.offset_only = -1 if servo is None else servo.start, offset_only
        state.half, (state.least_noise, state.most_noise) = equations.half, NOISE_RANGE
        state.uneven = UNEVEN
        self._point_to(arrays)
        self._now, self._x, self._u = arrays["now"], arrays["now"][: 2 * n], arrays["now"][2 * n :]
        self._after, self._neighbors, self._gain = arrays["after"], arrays["neighbors"], arrays["gain"]
        self._expected, self._G, self._Sigma = arrays["expected"], arrays["G"], arrays["Sigma"]
        self._covariance, self._belief = arrays["covariance"], arrays["belief"]
        self._gain_of: Gain | None = None  # the arrays whose values two of these have
        self._belief_of: Array | None = None
        self._allocate(1)
        # posterior and prior are part of the calls
        self._compiled = posterior if isinstance(posterior, CompiledPosterior) and prior.linear else None
        if self._compiled is not None:
            state.posterior = self._compiled.address
            self.take_prior()

    def _point_to(self, arrays: dict[str, Array]) -> None:
        for name, array in arrays.items():
            setattr(self._state, name, array.ctypes.data)

    def _allocate(self, stages: int) -> None:
        """Make the arrays of a horizon of `stages`."""
        n, nx = self._equations.n, self._equations.nx
        sizes = dict(mean=(n,), jacobian=(n, 3 * n), Z=(3 * n,), F=(nx, nx + n), f=(nx,))
        self._by_stage = {name: np.zeros((stages, *size)) for name, size in sizes.items()}
        self._F, self._f = self._by_stage["F"], self._by_stage["f"]
        self._state.stages = stages
        self._point_to(self._by_stage)

    def take_prior(self) -> None:
        """See `LocalModel`."""
        if self._compiled is not None:
            n = self._equations.n
            offset, slope = self._prior.linearize(np.zeros((1, 2 * n)), np.zeros((1, n)))
            self._arrays["offset"][:], self._arrays["slope"][:] = offset[0], slope[0]

    def compare(self, x: Array, u: CommandVector, after: Array, timing: Timing | None = None) -> Comparison:
        """See `LocalModel`."""
        posterior = self._compiled
        if posterior is None:
            return super().compare(x, u, after, timing)
        self._x[:], self._u[:], self._after[:] = x, u, after
        if timing is not None:
            self._neighbors[:] = timing.neighbors
            self.prepare_comparison(timing.gain, timing.scale)
        else:
            self.prepare_comparison(None, 0.0)
        self._functions.model_compare(self._address)
        return self.comparison()

    @property
    def whole(self) -> bool:
        """Whether posterior and prior are part of the calls."""
        return self._compiled is not None

    def function(self, name: str) -> int | None:
        """Return where the compiled function model_`name` is."""
        return ctypes.cast(self._functions[f"model_{name}"], ctypes.c_void_p).value

    def prepare_comparison(self, gain: Gain | None, scale: float) -> None:
        """Let the next comparison heed an uncertain time, see `Timing`; gain None: the time is known exactly."""
        state = self._state
        state.timed, state.scale = gain is not None, scale
        if gain is not None:
            self._take_gain(gain)

    def comparison(self) -> Comparison:
        """Return what the compiled code has compared."""
        posterior, state = self._compiled, self._state
        assert posterior is not None
        return Comparison(posterior.error.copy(), self._covariance.copy(), state.nis, state.rho, bool(state.finite))

    def prepare_fit(self, G: Gain, kept: bool) -> None:
        """Let the next fit be one of a single stage, with the image Jacobian G (m, n); `kept`: see `about`."""
        self._state.kept = kept
        if self._G.size:
            self._G[:] = G
        if self._state.stages != 1:
            self._allocate(1)

    def take_fit(self) -> None:
        """Take note of gain and expectation of the dynamics that the compiled code has stated."""
        self.failed = False
        if self._compiled is not None:
            self._compiled.failed = False
        self.gain = self._gain_of = self._gain.copy()
        self.expected = self._expected.copy()

    def _take_gain(self, gain: Gain) -> None:
        """Let the compiled code have the values of `gain` (n, n), the array of the last fit in most ticks."""
        if gain is not self._gain_of:
            self._gain[:], self._gain_of = gain, gain

    def learn(self, forgetting: float, weight: float, precision: Array, noise: float, share: float) -> None:
        """See `LocalModel`."""
        if self._compiled is None:
            super().learn(forgetting, weight, precision, noise, share)
            return
        state = self._state
        if precision is not self._belief_of:
            self._belief[:], self._belief_of = precision, precision
        state.noise_std, state.share = noise, share
        self._compiled.weigh(forgetting, weight)
        self._functions.model_learn(self._address)

    def about(
        self,
        x: Array,
        u: CommandVector,
        G: Gain,
        along: tuple[Array, Array] | None = None,
        *,
        kept: bool = False,
    ) -> LinearGaussianDynamics:
        """See `LocalModel`."""
        posterior = self._compiled
        if posterior is None or kept and posterior.failed:
            return super().about(x, u, G, along, kept=kept)
        self._x[:], self._u[:] = x, u
        self.prepare_fit(G, kept)
        posterior.failed = self.failed = bool(self._functions.model_about(self._address))
        return super().about(x, u, G, along) if self.failed else self._result()

    def combine(
        self, mean: Array, jacobian: Gain, Z: Array, now: Array, G: Gain, *, linear: bool
    ) -> LinearGaussianDynamics:
        """See `LocalModel`."""
        if self._state.stages != len(mean):
            self._allocate(len(mean))
        arrays = self._by_stage
        arrays["mean"][:], arrays["jacobian"][:], arrays["Z"][:], self._now[:] = mean, jacobian, Z, now
        if self._G.size:
            self._G[:] = G
        self._state.linear = linear
        self._functions.model_combine(self._address)
        return self._result()

    def _result(self) -> LinearGaussianDynamics:
        """Return copies of what the compiled code has combined."""
        self.gain = self._gain_of = self._gain.copy()
        self.expected = self._expected.copy()
        return LinearGaussianDynamics(self._F.copy(), self._f.copy(), self._Sigma.copy())

    def stated(self) -> LinearGaussianDynamics | None:
        """See `LocalModel`; here they are copies."""
        return LinearGaussianDynamics(self._F.copy(), self._f.copy(), self._Sigma.copy()) if self._F.any() else None

    def timing_noise(self, neighbors: Array, u: Array, gain: Gain, scale: float) -> float:
        """See `LocalModel`."""
        self._neighbors[:], self._u[:], self._state.scale = neighbors, u, scale
        self._take_gain(gain)
        self._functions.model_timing_noise(self._address)
        return self._state.rho


def make_local_model(
    equations: StateEquations,
    posterior: RegressionPosterior,
    prior: Prior,
    u_scale: Array,
    servo: slice | None,
    offset_only: bool,
) -> LocalModel:
    """Make a local model, compiled where it can be; see `LocalModel`."""
    arguments, functions = (equations, posterior, prior, u_scale, servo, offset_only), library()
    return LocalModel(*arguments) if functions is None else CompiledLocalModel(functions, *arguments)
