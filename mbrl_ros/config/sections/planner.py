"""Settings of the planners: horizon, iterations, state limits and KL bound; `control.planner` chooses one."""

from __future__ import annotations

import dataclasses

from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class PlannerSettings(Section):
    """What the planners have in common; each documents which of these it uses."""

    horizon: int = setting(30, "number H of stages of a plan", unit="ticks", low=2, high=500)
    iterations: int = setting(2, "iLQR iterations per tick", low=1, high=1000, dynamic=True)
    backend: str = setting(
        "auto",
        "compiled: the compiled kernel or an error; casadi: CasADi's virtual machine; numpy: the readable"
        " specification; auto: compiled if a compiler is found, else casadi",
        choices=("auto", "compiled", "casadi", "numpy"),
    )
    line_search: int = setting(8, "number of step sizes alpha = 2^-i that are tried together", low=1, high=16)
    tolerance: float = setting(
        1e-9,
        "iterations end when the predicted decrease of the cost is below this fraction of 1 + |cost|",
        low=0.0,
        high=1.0,
        dynamic=True,
    )
    time_budget: float = setting(
        0.0,
        "an iteration that would end later than this after the start of planning is not begun; 0: no limit",
        unit="s",
        low=0.0,
        high=10.0,
        dynamic=True,
    )
    discount: float = setting(1.0, "factor of the cost from one stage to the next", low=0.01, high=1.0)
    second_order: bool = setting(True, "planner ddp: use the second derivatives of the model, and not only its first")
    clamping: str = setting(
        "step",
        "planners ilqr and ddp, commands that a backward pass takes for clamped: step: those that the step of their"
        " stage brings to a limit; limit: those at a limit already, and pressed against it, which takes fewer"
        " iterations from a poor start with linear dynamics, and more in swing-ups",
        choices=("step", "limit"),
    )
    multiple_shooting: bool = setting(
        False,
        "planners ilqr and ddp: the states of a plan are variables beside its commands, with gaps that the iterations"
        " close: for long horizons of unstable dynamics; without state_limits and kl_bound",
    )
    state_limits: bool = setting(False, "keep planned positions and velocities inside their limits (interior point)")
    limit_penalty: float = setting(
        100.0,
        "force with which a plan beyond a limit of states is pulled back, at each stage, in |cost| per half range of"
        " the state",
        low=1e-3,
    )
    limit_precision: float = setting(
        1e-5,
        "weight of the barrier of the state limits in the end: what a plan costs at most over the optimum, for each"
        " limit and stage, in units of |cost|",
        low=1e-9,
        high=1e-2,
    )
    kl_bound: float = setting(
        0.0,
        "largest KL divergence of a plan's controller from that of the last plan, both inside the limits of commands;"
        " 0: no bound",
        unit="nats",
        low=0.0,
        dynamic=True,
    )
    kl_steps: int = setting(
        10, "plans per tick, after the first one, to find the multiplier of the KL bound", low=1, high=100
    )
    temperature: float = setting(
        1.0, "temperature of the maximum-entropy controller, whose covariance is temperature Q_uu^-1", low=1e-12
    )
    execution: str = setting(
        "open_loop",
        "command that follows from a plan: open_loop: u_hat; feedback: u_hat + K (x - x_hat); gaussian: a"
        " sample about the latter",
        choices=("open_loop", "feedback", "gaussian"),
        dynamic=True,
    )
    process: bool = setting(
        False,
        "plan in another process, for a planner that takes longer than a tick; meanwhile the last plan acts with"
        " feedback",
    )
    process_ticks: int = setting(
        5, "planner.process: ticks after which a plan of the other process is used, at the earliest", low=1, high=500
    )
    process_wait: bool = setting(
        False,
        "planner.process: a tick waits for the plan that is due, so that it is used after planner.process_ticks exactly"
        " and runs repeat (for lockstep); false: it is used when it is there",
    )
    process_oldest: int = setting(
        0,
        "planner.process: a plan that was made longer ago is not acted on; 0: planner.horizon",
        unit="ticks",
        low=0,
        high=10000,
    )
    process_timeout: float = setting(
        5.0,
        "planner.process: the other process is started again if a plan takes longer",
        unit="s",
        low=0.01,
        high=3600.0,
    )
