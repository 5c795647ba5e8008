"""The compiled parts of a tick of `mpc` in two calls (step.cpp) instead of one or two for each part.

`compare`   what acted in the last period, what the model says to it, the velocity gate
`plan`      the model about the present state, the state when the next command acts, the plan

Between them Python decides what the sample weighs and learns from it. What is computed is what `ModelLearner.learn` and
`MpcController.step` compute with the same parts one after the other, to the last bit; they do so where a part is not
compiled, and where a tick is not a usual one.
"""

from __future__ import annotations

import ctypes
import functools
from typing import NamedTuple

import numpy as np

from ..codegen.compiler import load_library, sources_of
from ..dynamics.compiled_history import CompiledHistory
from ..dynamics.compiled_model import CompiledLocalModel
from ..dynamics.delay import CommandHistory
from ..dynamics.local_model import Comparison
from ..dynamics.online import OnlineDynamics
from ..dynamics.velocity_gate import CompiledGate, VelocityGate
from ..planners.base import Planner
from ..planners.ilqr.ilqr import IlqrPlanner
from ..planners.ilqr.kernel import CompiledIlqr
from ..types import Array, CommandVector, Plan, StageParameters, StateVector

STEP_PARTS = ("history", "model", "gate", "planner")
STEP_FUNCTIONS = ("during", "compare", "agree", "about", "roll_forward", "plan")
STEP_ARRAYS = ("before", "after", "u", "x0", "u_previous", "F", "f")
STEP_NUMBERS = ("nis_of_gate", "fit_seconds")
HEADERS = ("history.h", "local_model.h", "posterior.h", "velocity_gate.h")
ASK_THE_GATE, AGREED = 1, 2  # what step_compare returns


class Compared(NamedTuple):
    """What acted in a period, the command u (nu,), what the model says to it, and whether the gate has agreed."""

    u: CommandVector
    comparison: Comparison
    agreed: bool


class _Structure(ctypes.Structure):
    """Mirrors `struct Step` of step.cpp."""

    fit_seconds: float
    _fields_ = [(name, ctypes.c_void_p) for name in STEP_PARTS + STEP_FUNCTIONS + STEP_ARRAYS] + [
        (name, ctypes.c_double) for name in STEP_NUMBERS
    ]


@functools.lru_cache(maxsize=1)
def library() -> ctypes.PyDLL | None:
    """Load the compiled functions; None where that fails, and the log has the reason."""
    parts = sources_of(CompiledHistory.__module__.rpartition(".")[0], *HEADERS)
    return load_library("step", {**sources_of(__package__, "step.cpp"), **parts})


class CompiledStep:
    """Calls the parts of one controller, which go on being called for themselves, too."""

    def __init__(
        self,
        functions: ctypes.PyDLL,
        dynamics: OnlineDynamics,
        model: CompiledLocalModel,
        history: CompiledHistory,
        gate: CompiledGate | None,
    ):
        self._functions, self._state = functions, _Structure()
        self._address = ctypes.c_void_p(ctypes.addressof(self._state))
        self._dynamics, self._model, self._history, self._gate = dynamics, model, history, gate
        self._planner: IlqrPlanner | None = None
        nx, nu = dynamics.nx, dynamics.nu
        self._before, self._after, self._u = np.zeros(nx), np.zeros(nx), np.zeros(nu)
        history.make_room(nx)
        self._point_to(before=self._before, after=self._after, u=self._u)
        state = self._state
        state.history, state.model = history.address, model.address
        state.during, state.roll_forward = history.function("during"), history.function("roll_forward")
        state.compare, state.about = model.function("compare"), model.function("about")
        if gate is not None:
            state.gate, state.agree, state.nis_of_gate = gate.address, gate.function, gate.threshold**2

    def _point_to(self, **arrays: Array) -> None:
        for name, array in arrays.items():
            setattr(self._state, name, array.ctypes.data)

    def compare(self, stamp: float, before: StateVector, after: StateVector, timing_std: float) -> Compared | None:
        """Compare the period that began at `stamp` [s] with the model.

        Parameters
        ----------
        before, after
            The states (nx,) at its beginning and end.
        timing_std
            Standard deviation [s] of the delay; 0: known exactly.

        Returns
        -------
        Compared, or None where more is uncertain of the time of the command: nothing has been done then.
        """
        dynamics, scale = self._dynamics, (timing_std / self._dynamics.dt) ** 2
        self._before[:], self._after[:] = before, after
        self._history.look_at(stamp)
        self._model.prepare_comparison(dynamics.input_gain if timing_std > 0.0 else None, scale)
        gate = self._gate
        if gate is not None:
            gate.prepare()
        found = self._functions.step_compare(self._address)
        if not found:
            return None
        if gate is not None and found == AGREED:
            gate.agreed()
        return Compared(self._history.u, self._model.comparison(), found == AGREED)

    def use_planner(self, planner: Planner) -> bool:
        """Let `plan` ask this planner; tell whether that is possible."""
        if not isinstance(planner, IlqrPlanner) or not planner.whole:
            return False
        solver = planner.solver
        assert isinstance(solver, CompiledIlqr)
        memory = planner.memory
        self._point_to(x0=memory.x0, u_previous=memory.u_previous, F=memory.F, f=memory.f)
        self._state.planner, self._state.plan = solver.address, solver.function("plan")
        self._planner = planner
        return True

    def plan(
        self, x: StateVector, stamp: float, u: CommandVector, parameters: StageParameters, late: int, periods: int
    ) -> tuple[Plan, StateVector, float] | None:
        """Fit the model about x (nx,), u (nu,), and plan from the state ahead.

        Parameters
        ----------
        x, stamp
            The present state, and when it was measured [s].
        u
            The command that is already decided.
        parameters
            p (H+1, np) of the cost.
        late, periods
            Whole periods by which commands come late, and those since the last plan.

        Returns
        -------
        The plan, the state ahead (nx,) that it begins at, valid until the next call, and how long the fit took [s];
        None where the model could not be stated: nothing was planned then.
        """
        planner, dynamics = self._planner, self._dynamics
        assert planner is not None
        if dynamics.stopped and dynamics.posterior.failed:
            return None
        self._after[:], self._u[:] = x, u
        self._history.look_at(stamp, late)
        self._model.prepare_fit(dynamics.features.G, dynamics.stopped)
        planner.begin(parameters, periods)
        if self._functions.step_plan(self._address):
            return None
        self._model.take_fit()
        dynamics.take_fit(u)
        return planner.planned(), planner.memory.x0, self._state.fit_seconds


def make_step(dynamics: OnlineDynamics, history: CommandHistory, gate: VelocityGate | None) -> CompiledStep | None:
    """Make the calls, if every part is compiled and the prior linear."""
    functions, model = library(), dynamics.local_model
    if (
        functions is None
        or not isinstance(model, CompiledLocalModel)
        or not model.whole
        or not isinstance(history, CompiledHistory)
        or not (gate is None or isinstance(gate, CompiledGate))
    ):
        return None
    return CompiledStep(functions, dynamics, model, history, gate)
