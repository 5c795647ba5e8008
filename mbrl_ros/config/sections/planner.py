"""The planners: horizon, iterations, state limits and KL bound; `control.planner` chooses one."""

from __future__ import annotations

import dataclasses

from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class PlannerSettings(Section):
    """What planners have in common; each says which of these it heeds."""

    horizon: int = setting(30, "stages H of a plan", unit="ticks", low=2, high=500)
    iterations: int = setting(2, "iLQR iterations per tick", low=1, high=1000, dynamic=True)
    backend: str = setting(
        "auto",
        "compiled: the kernel or nothing; casadi: CasADi's virtual machine; numpy: the readable "
        "specification; auto: compiled where it can be, else casadi",
        choices=("auto", "compiled", "casadi", "numpy"),
    )
    line_search: int = setting(8, "step sizes alpha = 2^-i tried at once", low=1, high=16)
    tolerance: float = setting(
        1e-9,
        "a predicted decrease below this fraction of 1 + |cost| ends the iterations",
        low=0.0,
        high=1.0,
        dynamic=True,
    )
    time_budget: float = setting(
        0.0,
        "no iteration begins that would end later than this; 0: no limit",
        unit="s",
        low=0.0,
        high=10.0,
        dynamic=True,
    )
    discount: float = setting(1.0, "factor of the cost from one stage to the next", low=0.01, high=1.0)
    second_order: bool = setting(False, "use the second derivatives of a nonlinear model (DDP)")
    state_limits: bool = setting(False, "keep planned positions and speeds inside their limits (relaxed barrier)")
    limit_penalty: float = setting(
        1000.0, "force up to which the rest of the cost is held back, per half range of the state", low=1e-3
    )
    limit_precision: float = setting(
        1e-3,
        "distance from a limit at which a plan may come to rest under that force",
        unit="half ranges",
        low=1e-9,
        high=0.1,
    )
    kl_bound: float = setting(
        0.0,
        "largest KL divergence of a plan's controller from the last one's; 0: no bound",
        unit="nats",
        low=0.0,
        dynamic=True,
    )
    kl_steps: int = setting(10, "steps of dual descent per tick", low=1, high=100)
    temperature: float = setting(
        1.0, "of the maximum-entropy controller, whose covariance is temperature Q_uu^-1", low=1e-12
    )
    execution: str = setting(
        "open_loop",
        "command from the plan: open_loop u_hat, feedback K (x - x_hat) + u_hat, or gaussian: sampled around the latter",
        choices=("open_loop", "feedback", "gaussian"),
        dynamic=True,
    )
