"""How long the same fit takes with PyTorch until the same held-out loss.

    python benchmark/distill_torch.py [--seconds 60] [--seeds 3] [--json FILE]

Samples from teaching on the simulated Panda; the student, its loss and its start are the same, in double precision, on
one thread. `this package`: SciPy's L-BFGS-B with the hand-written reverse pass. `torch, L-BFGS-B`: the same optimizer
with torch's derivatives. `torch, L-BFGS` and `torch, Adam`: torch's optimizers. Wanted is the held-out loss at which
this package stops, within 0.1 %. Needs torch, which the package does not.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from types import SimpleNamespace

import numpy as np
from scipy.optimize import minimize

from mbrl_ros.demo import distill
from mbrl_ros.distillation.fit import fit
from mbrl_ros.distillation.loss import loss
from mbrl_ros.distillation.problem import Problem, make_problem
from mbrl_ros.distillation.student import C_WINDOW, K_MID
from mbrl_ros.robots import load_robot

NEAR, PATIENCE = 1.001, 60.0  # PATIENCE [s]


class Reached(Exception):
    """The wanted held-out loss."""


class Watch:
    """Computes the held-out loss after every iteration; the time that this takes does not count."""

    def __init__(self, problem: Problem, wanted: float):
        self.problem, self.wanted, self.best = problem, wanted, np.inf
        self.seconds = 0.0
        self._begin, self._watching = time.perf_counter(), 0.0

    def __call__(self, theta) -> None:
        """Take note of theta; raises Reached at the wanted loss."""
        now, p = time.perf_counter(), self.problem
        self.seconds = now - self._begin - self._watching
        self.best = min(self.best, loss(p.shape, p.white, np.asarray(theta), p.held_out))
        self._watching += time.perf_counter() - now
        if self.best <= NEAR * self.wanted or self.seconds > PATIENCE:
            raise Reached


def tensors(torch, arrays) -> SimpleNamespace:
    """Return the arrays of a dataclass as tensors."""
    columns = {field.name: getattr(arrays, field.name) for field in dataclasses.fields(arrays)}
    return SimpleNamespace(**{k: torch.from_numpy(np.ascontiguousarray(column)) for k, column in columns.items()})


def torch_loss(torch, p: Problem):
    """Return theta (tensor) -> the training loss, as `distillation.loss`."""
    shape, white = p.shape, tensors(torch, p.white)
    data = tensors(torch, p.training)
    middle, half = (torch.from_numpy(0.5 * (shape.highest + sign * shape.lowest)) for sign in (1.0, -1.0))
    velocity, acceleration = torch.from_numpy(shape.velocity), torch.from_numpy(shape.acceleration)

    def squash(y):
        return y / torch.sqrt(1.0 + y * y)

    def shorten(r):
        return r / torch.sqrt(1.0 + (r * r).sum(1, keepdim=True))

    def value_of(theta):
        t, at = {}, 0
        for name, size in shape.layout().items():
            count = int(np.prod(size))
            t[name] = theta[at : at + count].reshape(size)
            at += count
        h = squash((data.target - white.target_mean) / white.target_deviation @ t["goal_W1"].T + t["goal_b1"])
        h = squash(h @ t["goal_W2"].T + t["goal_b2"])
        d = middle + half * squash(h @ t["goal_W3"].T + t["goal_b3"]) - data.q
        h = squash((torch.hstack((data.q, data.qd, d)) - white.mean) / white.deviation @ t["gain_W"].T + t["gain_b"])
        k = K_MID * torch.exp(squash(h @ t["S_k"].T + t["k0"]))
        c = C_WINDOW / shape.window * torch.exp(0.5 * squash(h @ t["S_c"].T + t["c0"]))
        V, A = velocity * (0.55 + 0.45 * squash(t["V"])), acceleration * (0.55 + 0.45 * squash(t["A"]))
        v = V * shorten(k * d / V)
        y = A * shorten(c * (v - data.qd) / A)
        r = data.w + (data.M @ (y - data.a)[:, :, None])[:, :, 0] - data.u
        return 0.5 * (r * (data.P @ r[:, :, None])[:, :, 0]).sum() / len(r)

    return value_of


def by_torch(torch, p: Problem, kind: str, decay: float, wanted: float) -> tuple[float, float]:
    """Return (seconds, best held-out loss) with torch's derivatives; `kind`: L-BFGS-B, L-BFGS or Adam."""
    value_of, watch = torch_loss(torch, p), Watch(p, wanted)
    theta = torch.tensor(p.start, requires_grad=True)

    def objective(values):
        x = torch.tensor(values, requires_grad=True)
        value = value_of(x) + 0.5 * decay * x @ x
        value.backward()
        return value.item(), x.grad.numpy()

    optimizer = {
        "L-BFGS": lambda: torch.optim.LBFGS([theta], max_iter=1, history_size=20, line_search_fn="strong_wolfe"),
        "Adam": lambda: torch.optim.Adam([theta], lr=3e-3),
        "L-BFGS-B": lambda: None,
    }[kind]()

    def closure():
        optimizer.zero_grad()
        value = value_of(theta) + 0.5 * decay * theta @ theta
        value.backward()
        return value

    try:
        if optimizer is None:
            minimize(
                objective, p.start, jac=True, method="L-BFGS-B", callback=watch, options={"maxiter": 2000, "maxcor": 20}
            )
        else:
            for _ in range(20_000):
                optimizer.step(closure)
                watch(theta.detach().numpy())
    except Reached:
        return watch.seconds, watch.best
    return watch.seconds, watch.best


def main() -> None:
    """Run the benchmark of the command line and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of teaching")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json")
    args = parser.parse_args()
    try:
        import torch
    except ModuleNotFoundError:
        print("skipped: PyTorch is not installed (pip install torch)")
        return
    torch.set_num_threads(1)
    c = distill.configuration()
    robot, rows = load_robot(c.robot), []
    for seed in range(args.seeds):
        memory = distill.teach_policy(c, args.seconds, seed, fits=1).memory
        samples, settings = memory.samples(c.distillation.fit_samples), c.distillation.replace(seed=seed)
        problem = make_problem(samples, robot, "point", settings)
        begin = time.perf_counter()
        _, report = fit(samples, robot, "point", settings)
        whole = time.perf_counter() - begin
        reached = report.history[:, 1] <= NEAR * report.held_out
        row = {"this package": float(report.history[reached, 0][0] - report.history[0, 0])}
        for kind in ("L-BFGS-B", "L-BFGS", "Adam"):
            seconds, best = by_torch(torch, problem, kind, settings.decay, report.held_out)
            row[f"torch, {kind}"] = seconds if best <= NEAR * report.held_out else float("inf")
        rows.append(row)
        print(
            f"seed {seed}: {len(samples)} samples, held-out loss {report.held_out:.4f}, whole fit {whole:.1f} s; "
            + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in row.items()),
            flush=True,
        )
    print("\n| fit | median time to the same held-out loss [s] | over this package's |\n|---|---|---|")
    ours = np.array([row["this package"] for row in rows])
    for name in rows[0]:
        times = np.array([row[name] for row in rows])
        print(f"| {name} | {np.median(times):.2f} | {np.median(times / ours):.2f} |")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
