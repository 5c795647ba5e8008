r"""The tree search in readable Python: the specification of kernel.cpp, name by name.

A node of the tree is a sequence of primitives, each a segment of `length` stages; the rest of the horizon is the
default policy's. Its cost J is that of the whole horizon. A simulation goes down from the root and adds one node:

    from node s with N(s) visits   add the next child while there are fewer than ceil(c N(s)^alpha), else go on with
                                   argmax_i  Q_i / N_i + 2 C sqrt(2 ln N(s) / N_i) w_i
    value of a simulation          (J_worst - min(J, J_worst)) / (J_worst - J_best), in [0, 1];  Q_i: their sum

(UCT: Kocsis & Szepesvari 2006; widening: Couetoux et al. 2011.) J_best is the lowest cost found so far. J_worst is as
far above the median cost of the root's children as the lowest of them is below it, and at most the highest: one
primitive that diverges must not make all others look alike. A cost that is not finite counts as J_worst.

With a discrete policy pi of the primitives (distillation/choice.py), w_i = 1 - share + share P pi_i(x, v, p_t, U_t), P
the number of primitives, and the children are added in the order of w_i; else w_i = 1. U_t is the plan in hand, without
which a primitive means nothing. The default policy may be pi, too: at every depth the primitive with the highest pi_i.

The children of a node are rolled out together, which changes nothing: dynamics and costs are deterministic.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ...costs import CostModel
from ...distillation.student import squash
from ...dynamics.priors.nonlinear_model import NonlinearModel
from ...types import Array
from ..ilqr.evaluator import Buffered, ModelEvaluator
from ..ilqr.problem import Problem
from .search import SearchMemory, SearchNumbers


@dataclasses.dataclass(eq=False, slots=True)
class Node:
    """A node, and the states x (nx,), commands v (nu,) and cost `spent` at which its children begin.

    whole: the cost of its horizon; total: the sum of the costs of the simulations through it, each at most J_worst;
    weight: w_i of it; children: those evaluated, of which the first `added` belong to the tree.
    """

    parent: Node | None
    depth: int
    x: Array
    v: Array
    spent: float
    whole: float
    primitive: int = 0
    weight: float = 1.0
    visits: int = 0
    total: float = 0.0
    added: int = 0
    children: list[Node] = dataclasses.field(default_factory=list)


class NumpySearch:
    """A `TreeSearch` in Python; `root` is the tree of the last search, `nodes` all that it evaluated, in order."""

    def __init__(
        self, cost: CostModel, memory: SearchMemory, numbers: SearchNumbers, model: NonlinearModel | None = None
    ):
        self.memory, self.numbers, self._clock = memory, numbers, time.perf_counter
        P, nx, nu = numbers.primitives, cost.nx, cost.nu
        problem = Problem(cost, model)
        self._model = None if model is None else ModelEvaluator(problem, numbers.horizon, (1, P))
        self._stage, self._terminal = {}, {}
        for S in {1, P}:
            stage = cost.stage.map("side_by_side", "serial", S, [3], [])
            self._stage[S] = Buffered(stage, [(S, nx), (S, nu), (S, nu), (cost.np,)], [(S,)])
            terminal = cost.terminal.map("last_costs", "serial", S, [1], [])
            self._terminal[S] = Buffered(terminal, [(S, nx), (cost.np,)], [(S,)])
        self.root = Node(None, 0, memory.x0, memory.u_previous, 0.0, 0.0)
        self.nodes: list[Node] = []

    def use_clock(self, clock: Callable[[], float]) -> None:
        """See `TreeSearch`."""
        self._clock = clock

    def roll(self, path: Sequence[int], law: Sequence[float]) -> float:
        """See `TreeSearch`."""
        m = self.memory
        m.laws[-1] = law
        x, v, spent = m.x0[None], m.u_previous[None], np.zeros(1)
        m.X_new[0] = m.x0
        for depth, primitive in enumerate(path):
            offset = m.offsets[depth, [primitive]]
            x, v, spent = self._advance(x, v, spent, depth, depth + 1, m.laws[[primitive]], offset, write=True)
        x, v, spent = self._complete(x, v, spent, len(path), write=True)
        self.numbers.cost = float((spent + self._terminal[1](x, m.p[-1])[0])[0])
        return self.numbers.cost

    def search(self) -> None:
        """See `TreeSearch`."""
        m, numbers, begin = self.memory, self.numbers, self._clock()
        with np.errstate(all="ignore"):
            self.root = root = Node(None, 0, m.x0.copy(), m.u_previous.copy(), 0.0, 0.0)
            self.nodes = []
            self._set_range()
            numbers.simulations_done = numbers.out_of_time = 0
            while numbers.simulations_done < numbers.simulations and not numbers.out_of_time:
                self._simulate()
                numbers.simulations_done += 1
                numbers.out_of_time = int(0.0 < numbers.time_budget < self._clock() - begin)
            m.counts[:] = m.totals[:] = 0.0
            for child in root.children[: root.added]:
                m.counts[child.primitive], m.totals[child.primitive] = child.visits, child.total
            at: Node | None = self._answer()
            path: list[int] = []
            while at is not None and at.parent is not None:
                path.insert(0, at.primitive)
                at = at.parent
            numbers.path_length, m.path[: len(path)] = len(path), path
            self.roll(path, m.laws[-1].copy())

    @property
    def _depths(self) -> int:
        return len(self.memory.path)

    def _stages(self, begin: int, end: int) -> range:
        numbers = self.numbers
        return range(*(min(depth * numbers.length, numbers.horizon) for depth in (begin, end)))

    def _advance(
        self, x: Array, v: Array, spent: Array, begin: int, end: int, laws: Array, offset: Array, write: bool = False
    ) -> tuple[Array, Array, Array]:
        """Roll S laws (S, 3) with offsets (S, nu) on, from the depth `begin` to `end`: states, commands, costs (S,)."""
        m, v_0, S = self.memory, v, len(x)
        step, gain, hold = (laws[:, [i]] for i in range(3))
        for t in self._stages(begin, end):
            dx, dv = gain * (x - m.X[t]), gain * (v - m.U[t])  # U begins with u_{-1}
            u = (1.0 - hold) * (m.U[t + 1] + step * m.k[t]) + hold * v_0 + offset
            u = u + np.einsum("si,ji->sj", dx, m.K[t]) + np.einsum("si,ji->sj", dv, m.K_u[t])
            u = np.where(u > m.u_upper, m.u_upper, u)
            u = np.where(u < m.u_lower, m.u_lower, u)
            spent = spent + self._stage[S](x, v, u, m.p[t])[0]
            F, f = (array[t if self.numbers.stages_of_F > 1 else 0] for array in (m.F, m.f))
            phi = 0.0 if self._model is None else self._model.predict(x, u)
            x, v = np.einsum("si,ji->sj", np.concatenate([x, u], axis=1), F) + f + phi, u
            if write:
                m.X_new[t + 1], m.U_new[t] = x[0], v[0]
        return x, v, spent

    def _complete(
        self, x: Array, v: Array, spent: Array, depth: int, write: bool = False
    ) -> tuple[Array, Array, Array]:
        """Roll on from a depth of the tree to the end by the default policy."""
        m, S = self.memory, len(x)
        if not self.numbers.continues:
            rest = np.repeat(m.laws[-1:], S, axis=0)
            return self._advance(x, v, spent, depth, self._depths, rest, np.zeros_like(v), write)
        for d in range(depth, self._depths):
            chosen = self._logits(x, v, d).argmax(axis=1)
            x, v, spent = self._advance(x, v, spent, d, d + 1, m.laws[chosen], m.offsets[d, chosen], write)
        return x, v, spent

    def _logits(self, x: Array, v: Array, depth: int) -> Array:
        """Return y (S, P) of the discrete policy at x (S, nx), v (S, nu) before the stages of a depth."""
        m = self.memory
        t = self._stages(depth, depth).start
        same = np.tile(np.concatenate([m.p[t], m.U[t + 1]]), (len(x), 1))
        y: Array = squash(np.concatenate([x, v, same], axis=1) @ m.W1.T + m.b1) @ m.W2.T + m.b2
        return y

    def _rank(self, node: Node) -> tuple[NDArray[np.int64], Array]:
        """Return the primitives in the order in which they become children, and the weight of each primitive (P,)."""
        numbers, P = self.numbers, self.numbers.primitives
        weights = np.ones(P)
        if numbers.units:
            y = self._logits(node.x[None], node.v[None], node.depth)[0]
            e = np.exp(y - y.max())
            if np.isfinite(e.sum()):
                weights = 1.0 - numbers.share + numbers.share * P * (e / e.sum())
        return np.argsort(-weights, kind="stable"), weights

    def _evaluate(self, node: Node) -> None:
        """Evaluate the children of a node: each by its primitive, then by the default policy to the end."""
        m, P, depth = self.memory, self.numbers.primitives, node.depth
        x, v, spent = (np.repeat(a[None], P, axis=0) for a in (node.x, node.v, np.array(node.spent)))
        order, weights = self._rank(node)
        x, v, spent = self._advance(x, v, spent, depth, depth + 1, m.laws[order], m.offsets[depth, order])
        x_last, _, costs = self._complete(x, v, spent, depth + 1)
        costs = costs + self._terminal[P](x_last, m.p[-1])[0]
        for i, primitive in enumerate(order):
            numbers = float(spent[i]), float(costs[i])
            node.children.append(Node(node, depth + 1, x[i], v[i], *numbers, int(primitive), float(weights[primitive])))
        self.nodes += node.children

    def _set_range(self) -> None:
        """Set the cost that is worth nothing."""
        self._evaluate(self.root)
        costs = sorted(child.whole for child in self.root.children if math.isfinite(child.whole))
        self.numbers.best = self.numbers.worst = math.inf
        if costs:
            median = 0.5 * (costs[(len(costs) - 1) // 2] + costs[len(costs) // 2])
            self.numbers.worst = min(costs[-1], 2.0 * median - costs[0]) if median > costs[0] else costs[-1]

    def _select(self, node: Node) -> Node:
        """Return the child with the largest UCT score: the mean of its values, and what is not known of it."""
        numbers = self.numbers
        span, log_visits = numbers.worst - numbers.best, 2.0 * math.log(node.visits)
        chosen, highest = node.children[0], -math.inf
        for child in node.children[: node.added]:
            value = (numbers.worst - child.total / child.visits) / span if span > 0.0 else 0.0
            score = value + 2.0 * numbers.exploration * math.sqrt(log_visits / child.visits) * child.weight
            if score > highest:
                chosen, highest = child, score
        return chosen

    def _simulate(self) -> None:
        """Go down the tree, add a child, and note its cost on the way back."""
        numbers, node = self.numbers, self.root
        while node.depth < self._depths:
            allowed = math.ceil(numbers.widening * float(node.visits) ** numbers.growth)
            if node.added == 0 or node.added < min(numbers.primitives, allowed):
                if not node.children:
                    self._evaluate(node)
                node.added += 1
                node = node.children[node.added - 1]
                break
            node = self._select(node)
        numbers.best = min(numbers.best, node.whole) if math.isfinite(node.whole) else numbers.best
        cost = node.whole if node.whole < numbers.worst else numbers.worst
        at: Node | None = node
        while at is not None:
            at.visits += 1
            at.total += cost
            at = at.parent

    def _answer(self) -> Node:
        """Return the node at the end of the most visited path, or the one with the lowest cost of all."""
        node = self.root
        if self.numbers.best_answer:
            found = [other for other in self.nodes if other.visits and math.isfinite(other.whole)]
            return min(found, key=lambda other: other.whole, default=node)
        while node.added:
            node = min(node.children[: node.added], key=lambda child: (-child.visits, child.total))
        return node
