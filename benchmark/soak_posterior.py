"""Whether the recursive posterior drifts: ten million ticks (14 hours at 200 Hz) against the same sums taken anew.

    python benchmark/soak_posterior.py [--ticks 10000000]

Phases of excitation and of complete rest alternate. The evidence of the last WINDOW ticks, which weighs all but 1e-13
of the total, is summed directly now and then, and the difference of the two posteriors' coefficients is printed,
with the smallest eigenvalue of the information matrix and the coefficients at the end of every rest (they must be the
prior's: zero).
"""

from __future__ import annotations

import argparse

import numpy as np

from mbrl_ros.dynamics.compiled_posterior import make_posterior

JOINTS, FORGETTING, WINDOW, PHASE = 7, 0.985, 2000, 10_000


def direct(Phi, Y, precision, centre):
    """Return the posterior of the last ticks, summed at once about `centre`."""
    weight = FORGETTING ** np.arange(len(Phi) - 1, -1, -1)
    about = Phi.copy()
    about[:, :-1] -= centre
    return np.linalg.solve((about * weight[:, None]).T @ about + np.diag(precision), (about * weight[:, None]).T @ Y)


def main() -> None:
    """Run the benchmark of the command line and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ticks", type=int, default=10_000_000)
    ticks = parser.parse_args().ticks
    rng = np.random.default_rng(0)
    size = 3 * JOINTS + 1
    precision = np.full(size, (0.015 / 0.3) ** 2)
    posterior = make_posterior(precision, np.full(JOINTS, 0.015))
    W = np.vstack([rng.normal(0.0, 0.1, (size - 1, JOINTS)), 0.02 * np.ones((1, JOINTS))])
    Phi, Y = np.ones((PHASE, size)), np.zeros((PHASE, JOINTS))
    worst = {"drift": 0.0, "at rest": 0.0, "condition": 0.0}
    for phase in range(ticks // PHASE):
        excited = phase % 2 == 0
        Phi[:, :-1] = rng.normal(0.0, 1.0, size - 1) + excited * rng.normal(0.0, 0.3, (PHASE, size - 1))
        Y[:] = Phi @ W + 0.015 * rng.standard_normal((PHASE, JOINTS))
        for phi, y in zip(Phi, Y, strict=True):
            posterior.add(phi, y, FORGETTING)
            posterior.condition(phi[:-1])
            posterior.predict(phi, y)
            posterior.add_innovation()
        learned, expected = posterior.W, direct(Phi[-WINDOW:], Y[-WINDOW:], precision, Phi[-1, :-1])
        worst["drift"] = max(worst["drift"], float(np.abs(learned - expected).max()))
        worst["condition"] = max(worst["condition"], float(np.linalg.cond(posterior.S + np.diag(precision))))
        if not excited:
            worst["at rest"] = max(worst["at rest"], float(np.abs(learned[:-1]).max()))
        if not np.isfinite(posterior.W).all() or np.linalg.eigvalsh(posterior.Sigma).min() <= 0.0:
            raise SystemExit(f"tick {(phase + 1) * PHASE}: the posterior is no longer finite or positive")
        if (phase + 1) % max(1, ticks // PHASE // 10) == 0:
            print(
                f"{(phase + 1) * PHASE:>10} ticks  " + "  ".join(f"{k} {v:.2e}" for k, v in worst.items()), flush=True
            )


if __name__ == "__main__":
    main()
