"""The planner `mcts`: what it does in one period; see the package's head for the method."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from ...config.sections.planner import PlannerSettings
from ...distillation.choice import ChoicePolicy, load_choice
from ...distillation.soft_targets import Choice
from ...dynamics.priors.nonlinear_model import NonlinearModel
from ...exceptions import CompileError, ConfigurationError
from ...types import (
    Array,
    CommandVector,
    LinearGaussianDynamics,
    Plan,
    PlanStatus,
    StageParameters,
    StateVector,
)
from ..base import PlannerContext
from ..feedback import TrajectoryPlanner
from . import kernel
from .numpy_search import NumpySearch
from .policy import FeedbackPolicy
from .primitives import Primitives
from .roots import Tree, answer, memories, merged, recipe_of, search_trees
from .search import BY_POLICY, DEFAULT_LAWS, REPLAYS, RootStatistics, SearchMemory, SearchNumbers, TreeSearch
from .settings import Settings


class MctsPlanner(TrajectoryPlanner):
    """Plans H stages by a tree search in every period; see planners/base.py."""

    def __init__(self, settings: Settings, context: PlannerContext, model: NonlinearModel | None = None):
        super().__init__(context, model)
        self.settings, self._own, self._policy = context.settings, settings, FeedbackPolicy(context, model)
        length = min(settings.length, self.H)
        policy = load_choice(settings.policy) if settings.policy else None
        tree = self.tree = SearchMemory.allocate(
            self.nx,
            self.nu,
            context.cost.np,
            self.H,
            length,
            settings.primitives,
            None if model is None else model.theta,
            None if policy is None else folded(policy.of_task(settings.policy_task)),
        )
        tree.u_lower, tree.u_upper = self.u_lower, self.u_upper  # the same arrays
        numbers = SearchNumbers(
            horizon=self.H,
            length=length,
            primitives=settings.primitives,
            simulations=settings.simulations,
            exploration=settings.exploration,
            widening=settings.widening,
            growth=settings.growth,
            best_answer=int(settings.answer == "best"),
            units=len(tree.b1),
            share=settings.policy_share,
            time_budget=context.settings.time_budget,
        )
        self.backend, self.search = search_of(context, model, tree, numbers)
        self._memories = memories(tree, settings.roots)
        self._primitives = [
            Primitives(memory, settings.fixed, length, settings.reach, settings.steps == "fixed")
            for memory in self._memories
        ]
        self._recipe = recipe_of(context.cost, model, self.backend == "compiled") if settings.roots > 1 else None
        self._trees: list[Tree] = []
        self._clock: Callable[[], float] | None = None
        if policy is not None:
            self._check(policy)
        self._default, self._continues = (
            DEFAULT_LAWS.get(settings.default, (0.0, 0.0, 0.0)),
            settings.default == BY_POLICY,
        )
        self._uses_policy = "lqr" in (settings.default, *settings.fixed)
        self._random, self._fresh = generators(settings), True

    @property
    def root(self) -> RootStatistics:
        """What the last search found out about the first segment; of several trees see roots.py."""
        if self._trees:
            return merged(self._memories, self._trees, len(self._own.fixed))
        tree, numbers, P = self.tree, self.search.numbers, self._own.primitives
        counts, range_ = tree.counts.copy(), numbers.worst - numbers.best
        means = tree.totals / np.maximum(counts, 1.0)
        values = np.clip((numbers.worst - means) / range_, 0.0, 1.0) if 0.0 < range_ < np.inf else np.zeros(P)
        return RootStatistics(tree.laws[:P].copy(), tree.offsets[0].copy(), counts, np.where(counts > 0.0, values, 0.0))

    @property
    def example(self) -> tuple[Array, Array]:
        """What a discrete policy is taught with: features [x; u_{-1}; p_0; U_0] and visits (P,) of the last search."""
        tree = self.tree
        return np.concatenate([tree.x0, tree.u_previous, tree.p[0], tree.U[1]]), tree.counts.copy()

    @property
    def options(self) -> tuple[str, ...]:
        """The names of the primitives."""
        return self._primitives[0].names

    def _check(self, policy: ChoicePolicy) -> None:
        """Raise ConfigurationError unless the policy is one of these primitives and features."""
        features, given = self.nx + 2 * self.nu + self.tree.p.shape[1], policy.rows.shape[1]
        if policy.options != self.options or given != features:
            raise ConfigurationError(
                f"the policy chooses among {len(policy.options)} primitives {policy.options} from {given} features; "
                f"here are {len(self.options)}, {self.options}, and {features} features",
                key="planner.mcts.policy",
                value=self._own.policy,
            )

    def reset(self, x0: StateVector, u: CommandVector) -> None:
        """Forget the last plan: begin at x0 (nx,) with the constant command u (nu,), clipped to its limits.

        The sequence of random numbers begins anew. Raises ConfigurationError if either is not finite.
        """
        self.memory.reset(x0, np.clip(u, self.u_lower, self.u_upper))
        self._random, self._fresh = generators(self._own), True

    def update_settings(self, settings: PlannerSettings) -> None:
        """Take over the setting that may change while running: time_budget."""
        self.settings = self.settings.replace(time_budget=settings.time_budget)
        self.search.numbers.time_budget = settings.time_budget

    def use_clock(self, clock: Callable[[], float]) -> None:
        """Measure the time budget by this clock [s] instead of the monotonic one."""
        self._clock = clock
        self.search.use_clock(clock)

    def plan(
        self,
        x0: StateVector,
        dynamics: LinearGaussianDynamics,
        parameters: StageParameters,
        u_previous: CommandVector,
        ticks: int = 1,
    ) -> Plan:
        """Plan from x0; see `Planner`."""
        self.shapes.check(x0, dynamics, parameters, u_previous)
        self.memory.shift(0 if self._fresh else ticks)
        self._fresh = False
        tree = self.tree
        if not (self.u_lower <= self.u_upper).all():
            return self.memory.plan(np.nan, PlanStatus.INFEASIBLE_BOX, 0)
        if not all(np.isfinite(a).all() for a in (x0, u_previous, parameters, dynamics.F, dynamics.f)):
            return self.memory.plan(np.nan, PlanStatus.NOT_FINITE, 0)
        stages = self.search.numbers.stages_of_F = len(dynamics.F)
        tree.x0[:], tree.u_previous[:], tree.p[:] = x0, u_previous, parameters
        tree.F[:stages], tree.f[:stages] = dynamics.F, dynamics.f
        with np.errstate(all="ignore"):
            return self._improve(dynamics)

    def _improve(self, dynamics: LinearGaussianDynamics) -> Plan:
        """Search about the replayed last plan, and take the best of that, the feedback policy and what is found."""
        tree, numbers, lower, upper = self.tree, self.search.numbers, self.u_lower, self.u_upper
        replayed, policy = self._replay(), self._policy
        if not np.isfinite(replayed):
            return self.memory.plan(replayed, PlanStatus.DIVERGED, 0)
        policy.about(tree.X, tree.U, dynamics, tree.p, lower, upper)
        tree.K[:], tree.K_u[:], tree.k[:] = policy.K, policy.K_u, policy.k
        cost, X, U = self._step(replayed)
        for primitives, random in zip(self._primitives, self._random, strict=True):
            primitives.draw(random, policy.Q_uu, replayed, lower, upper)
        found = self._search()
        if found[0] < cost:
            cost, X, U = found
        self.memory.take(X, U, dynamics, tree.p, tree.u_previous, lower, upper)
        status = PlanStatus.MAX_ITERATIONS if cost < replayed else PlanStatus.NO_IMPROVEMENT
        status = PlanStatus.TIME_BUDGET if numbers.out_of_time else status
        return self.memory.plan(cost, status, numbers.simulations_done)

    def _search(self) -> tuple[float, Array, Array]:
        """Search the tree, or all trees; return cost, states and commands of the answer."""
        tree, numbers = self.tree, self.search.numbers
        for memory in self._memories:
            memory.laws[-1] = self._default
        numbers.continues = int(self._continues)
        if self._recipe is None:
            self.search.search()
            numbers.continues = 0
            return numbers.cost, tree.X_new, tree.U_new
        names = [field.name for field in dataclasses.fields(SearchNumbers)]
        given = SearchNumbers(**{name: getattr(numbers, name) for name in names})
        numbers.continues = 0
        self._trees = search_trees(self._recipe, self._memories, given, self._clock)
        numbers.simulations_done = sum(found.simulations_done for found in self._trees)
        numbers.out_of_time = int(any(found.out_of_time for found in self._trees))
        best = answer(self._trees, len(self._own.fixed), self._own.answer == "best")
        return best.cost, best.X, best.U

    def _step(self, cost: float) -> tuple[float, Array, Array]:
        """Scale the policy's k by the largest alpha = 2^-i with which it is better than the plan in hand, else by 0.

        Returns cost, states and commands of the better of the two.
        """
        tree = self.tree
        for alpha in 0.5 ** np.arange(self.settings.line_search if self._uses_policy else 0):
            found = self.search.roll((), (alpha, 1.0, 0.0))
            if found < cost:
                tree.k *= alpha
                return found, tree.X_new.copy(), tree.U_new.copy()
        tree.k[:] = 0.0
        return cost, tree.X, tree.U[1:]

    def _replay(self) -> float:
        """Replay the last plan from x0, with and without its feedback: the cheaper is the plan in hand; its cost."""
        tree, last = self.tree, self.memory.plan(0.0, PlanStatus.NO_IMPROVEMENT, 0)
        tree.X[:], tree.U[0], tree.U[1:] = last.x_hat, tree.u_previous, last.u_hat
        tree.K[:], tree.K_u[:], tree.k[:] = last.K, last.K_u, 0.0
        cost = np.inf
        found = tree.X.copy(), tree.U[1:].copy()
        for law in REPLAYS.values():
            other = self.search.roll((), law)
            if other < cost:
                cost, found = other, (tree.X_new.copy(), tree.U_new.copy())
        tree.X[:], tree.U[1:] = found
        return cost


def generators(settings: Settings) -> list[np.random.Generator]:
    """Return what draws the steps of each tree."""
    first, further = settings.seed, range(1, settings.roots)
    return [np.random.default_rng(first), *(np.random.default_rng([first, root]) for root in further)]


def folded(choice: Choice) -> tuple[Array, Array, Array, Array]:
    """Return W1 (h, m), b1 (h,), W2 (P, h), b2 (P,) of a discrete policy, for features that are not whitened."""
    W1 = np.ascontiguousarray(choice.W1 / choice.deviation)
    return W1, choice.b1 - W1 @ choice.mean, np.ascontiguousarray(choice.W2), choice.b2.copy()


def search_of(
    context: PlannerContext, model: NonlinearModel | None, memory: SearchMemory, numbers: SearchNumbers
) -> tuple[str, TreeSearch]:
    """Choose what searches: ("compiled" or "numpy", the search).

    Raises CompileError where planner.backend is "compiled" and nothing compiles.
    """
    if context.settings.backend in ("auto", "compiled"):
        library = kernel.load(context.cost, model)
        if library is not None:
            return "compiled", kernel.CompiledSearch(library, memory, numbers)
        if context.settings.backend == "compiled":
            raise CompileError(
                "planner.backend is 'compiled', but the tree search could not be compiled: the log has the reason; "
                "'auto' goes on without"
            )
    return "numpy", NumpySearch(context.cost, memory, numbers, model)
