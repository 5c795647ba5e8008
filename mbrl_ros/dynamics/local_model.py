r"""From the prior about a trajectory and the posterior of its residual to the dynamics of the whole state.

With the prior's delta(z_t) and its Jacobian J_t at z_t = [x_t; u_t], and W of the regressors [q; qd; v / u_scale; 1]
about their center c (online.py; v = u for an effort, u - x_s for a servo whose input error is that from x_s),

    A_t = J_t + [W_q^T  W_qd^T  W_v^T / u_scale],   for a servo   A_t[x_s] -= W_v^T / u_scale
    b_t = delta(z_t) + w_1 - J_t z_t - W_{1:}^T c

make qd' = qd + A_t [q; qd; u] + b_t, from which the rest of the state follows (state_equations.py). Where only an
offset is learned W is w_1 alone. At the present [x; u] = z the change delta(z_0) + w_1 + J_0 (z - z_0) is expected.

`LocalModel` is the specification, local_model.cpp the same in compiled code.
"""

from __future__ import annotations

import ctypes
import functools

import numpy as np

from ..codegen.compiler import load_library, sources_of
from ..types import Array, Gain, LinearGaussianDynamics
from .posterior import RegressionPosterior
from .state_equations import StateEquations

MODEL_INTEGERS = ("n", "m", "stages", "servo", "offset_only", "linear", "regressors")
MODEL_NUMBERS = ("half", "scale", "rho")
MODEL_INPUTS = ("known_F", "step", "u_scale", "W", "center", "noise", "G", "mean", "jacobian", "Z", "now", "neighbors")
MODEL_RESULTS = ("F", "f", "Sigma", "gain", "expected")


class LocalModel:
    """The dynamics about the present state, by the formulas above.

    u_scale (n,); servo: the slice of x that is x_s, None for efforts; offset_only: see above. gain (n, n) is
    d qd' / d u and expected (n,) the change of the velocities that is expected, both of the last `combine`.
    """

    def __init__(
        self,
        equations: StateEquations,
        posterior: RegressionPosterior,
        u_scale: Array,
        servo: slice | None,
        offset_only: bool,
    ):
        self._equations, self._posterior = equations, posterior
        self._u_scale, self._servo, self._offset_only = u_scale, servo, offset_only
        self.gain: Gain = np.zeros((equations.n, equations.n))
        self.expected: Array = np.zeros(equations.n)

    def combine(
        self, mean: Array, jacobian: Gain, Z: Array, now: Array, G: Gain, *, linear: bool
    ) -> LinearGaussianDynamics:
        """Return the dynamics of T stages.

        Parameters
        ----------
        mean, jacobian, Z
            delta (T, n), J (T, n, 3n) and the points z_t (T, 3n) that they belong to.
        now
            The present z (3n,).
        G
            The image Jacobian (m, n).
        linear
            Whether J is the same everywhere; z_0 is the present z then.
        """
        n, W = self._equations.n, self._posterior.W
        slope = jacobian.copy()
        if not self._offset_only:
            slope[:, :, : 2 * n] += W[: 2 * n].T
            by_command = W[2 * n : 3 * n].T / self._u_scale
            slope[:, :, 2 * n :] += by_command
            if self._servo is not None:
                slope[:, :, self._servo] -= by_command
        self.gain = slope[0, :, 2 * n :]
        self.expected = mean[0] + W[-1]
        if not linear:
            self.expected += jacobian[0] @ (now - Z[0])
        offset = mean + W[-1] - (jacobian @ Z[:, :, None])[:, :, 0]
        if not self._offset_only:
            offset -= W[:-1].T @ self._posterior.center
        return self._equations.assemble(slope, offset, self._posterior.Sigma, G)

    def timing_noise(self, neighbors: Array, u: Array, gain: Gain, scale: float) -> float:
        """Return rho = scale max_j D_j / Sigma_jj of online.py.

        Parameters
        ----------
        neighbors, u
            The commands (2, n) in effect one period earlier and later, and the one between (n,).
        gain
            B (n, n).
        scale
            (sigma_d / dt)^2.
        """
        change = gain @ (neighbors - u).T
        D = 0.5 * np.add.reduce(change * change, axis=1)
        return float(scale * np.maximum.reduce(D / self._posterior.variance))


class _Structure(ctypes.Structure):
    """Mirrors `struct Model` of local_model.cpp."""

    stages: int
    linear: int
    scale: float
    rho: float
    _fields_ = (
        [(name, ctypes.c_longlong) for name in MODEL_INTEGERS]
        + [(name, ctypes.c_double) for name in MODEL_NUMBERS]
        + [(name, ctypes.c_void_p) for name in MODEL_INPUTS + MODEL_RESULTS]
    )


@functools.lru_cache(maxsize=1)
def library() -> ctypes.PyDLL | None:
    """Load the compiled functions; None where that fails, and the log has the reason."""
    return load_library("local_model", sources_of(__package__, "local_model.cpp"))


class CompiledLocalModel(LocalModel):
    """The same in compiled code, which works on the arrays of the posterior and of the equations in place."""

    def __init__(
        self,
        functions: ctypes.PyDLL,
        equations: StateEquations,
        posterior: RegressionPosterior,
        u_scale: Array,
        servo: slice | None,
        offset_only: bool,
    ):
        super().__init__(equations, posterior, u_scale, servo, offset_only)
        self._combine, self._timing_noise = functions.model_combine, functions.model_timing_noise
        self._state, n = _Structure(), equations.n
        self._address = ctypes.c_void_p(ctypes.addressof(self._state))
        self._now, self._neighbors, self._gain = np.zeros(3 * n), np.zeros((2, n)), np.zeros((n, n))
        self._expected, self._G = np.zeros(n), np.zeros((equations.m, n))
        self._Sigma = np.zeros((1, equations.nx, equations.nx))
        self._by_stage: dict[str, Array] = {}  # the arrays whose leading length is that of the horizon
        self._fixed = dict(
            known_F=equations.known_F,
            step=equations.step,
            u_scale=np.ascontiguousarray(u_scale, dtype=np.float64),
            W=posterior.W,
            center=posterior.center,
            noise=posterior.Sigma,
            G=self._G,
            now=self._now,
            neighbors=self._neighbors,
            Sigma=self._Sigma,
            gain=self._gain,
            expected=self._expected,
        )
        state = self._state
        state.n, state.m, state.regressors = n, equations.m, posterior.size
        state.servo, state.offset_only = -1 if servo is None else servo.start, offset_only
        state.half = equations.half
        self._point_to(self._fixed)

    def _point_to(self, arrays: dict[str, Array]) -> None:
        for name, array in arrays.items():
            setattr(self._state, name, array.ctypes.data)

    def _allocate(self, stages: int) -> None:
        """Make the arrays of a horizon of `stages`."""
        n, nx = self._equations.n, self._equations.nx
        sizes = dict(mean=(n,), jacobian=(n, 3 * n), Z=(3 * n,), F=(nx, nx + n), f=(nx,))
        self._by_stage = {name: np.zeros((stages, *size)) for name, size in sizes.items()}
        self._state.stages = stages
        self._point_to(self._by_stage)

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
        self._combine(self._address)
        self.gain, self.expected = self._gain.copy(), self._expected.copy()
        return LinearGaussianDynamics(arrays["F"].copy(), arrays["f"].copy(), self._Sigma.copy())

    def timing_noise(self, neighbors: Array, u: Array, gain: Gain, scale: float) -> float:
        """See `LocalModel`."""
        self._neighbors[:], self._now[: u.size], self._gain[:], self._state.scale = neighbors, u, gain, scale
        self._timing_noise(self._address)
        return self._state.rho


def make_local_model(
    equations: StateEquations, posterior: RegressionPosterior, u_scale: Array, servo: slice | None, offset_only: bool
) -> LocalModel:
    """Make a local model, compiled where it can be; see `LocalModel`."""
    functions = library()
    if functions is None:
        return LocalModel(equations, posterior, u_scale, servo, offset_only)
    return CompiledLocalModel(functions, equations, posterior, u_scale, servo, offset_only)
