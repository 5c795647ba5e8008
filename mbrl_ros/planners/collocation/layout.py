"""Where states, commands and multipliers lie in the vectors of a transcription."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...types import Array, CommandTrajectory, StateTrajectory


@dataclass(frozen=True, slots=True)
class Layout:
    """The order w = [u_0; x_1, v_1, u_1; ...; x_H] and that of the constraints; nv is 0 or nu."""

    nx: int
    nu: int
    nv: int
    horizon: int

    @property
    def size(self) -> int:
        """The number of variables."""
        return self.nu + (self.horizon - 1) * (self.nx + self.nv + self.nu) + self.nx

    @property
    def constraints(self) -> int:
        """The number of equality constraints."""
        return (self.horizon - 1) * (self.nx + self.nv) + self.nx

    def write(self, w: Array, X: StateTrajectory, U: CommandTrajectory, V: Array | float | None = None) -> None:
        """Write states X (H+1, nx), of which the first is left out, and commands U (H, nu) into w.

        V (H-1, nv) stands at the previous commands; None: those of U.
        """
        nx, nu, nv = self.nx, self.nu, self.nv
        inner = self._inner(w)
        w[:nu], w[w.size - nx :] = U[0], X[-1]
        inner[:, :nx], inner[:, nx + nv :] = X[1:-1], U[1:]
        if nv:
            inner[:, nx : nx + nv] = U[:-1] if V is None else V

    def read(self, w: Array, x0: Array) -> tuple[StateTrajectory, CommandTrajectory]:
        """Return copies of the states (H+1, nx), which begin with x0 (nx,), and of the commands (H, nu)."""
        nx, nu, nv = self.nx, self.nu, self.nv
        inner = self._inner(w)
        return (
            np.concatenate((x0[None], inner[:, :nx], w[None, w.size - nx :])),
            np.concatenate((w[None, :nu], inner[:, nx + nv :])),
        )

    def shift_bounds(self, lam_w: Array, ticks: int) -> None:
        """Move multipliers of the variables on by `ticks` stages; those of the last stage repeat."""
        X, U = self.read(lam_w, np.zeros(self.nx))
        later = np.arange(self.horizon) + ticks
        X[1:], U = X[1 + np.minimum(later, self.horizon - 1)], U[np.minimum(later, self.horizon - 1)]
        self.write(lam_w, X, U, 0.0)

    def shift_constraints(self, lam_g: Array, ticks: int) -> None:
        """Move multipliers of the constraints on by `ticks` stages; those of the last stage repeat."""
        ny, H = self.nx + self.nv, self.horizon
        rows = np.zeros((H, ny))
        rows.reshape(-1)[: lam_g.size] = lam_g
        lam_g[:] = rows[np.minimum(np.arange(H) + ticks, H - 1)].reshape(-1)[: lam_g.size]

    def _inner(self, w: Array) -> Array:
        return w[self.nu : w.size - self.nx].reshape(self.horizon - 1, -1)
