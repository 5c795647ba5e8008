"""The compiled history of commands is the readable one."""

import numpy as np
import pytest

from mbrl_ros.dynamics import CommandHistory, make_history
from mbrl_ros.dynamics.compiled_history import CompiledHistory, library
from mbrl_ros.types import LinearGaussianDynamics

DT, NU, NX = 0.005, 3, 6


def both(delay):
    if library() is None:
        pytest.skip("there is no C++ compiler")
    return CommandHistory(NU, DT, delay, length=8), CompiledHistory(library(), NU, DT, delay, length=8)


def assert_same(histories, stamp, x, dynamics, late):
    """Compare everything that can be asked for; only where a state is rolled to sums are taken in another order."""
    readable, compiled = histories
    for ask in ("computed_at", "in_effect", "around", "std"):
        np.testing.assert_array_equal(*(getattr(history, ask)(stamp) for history in histories))
    for one, other in zip(readable.during(stamp), compiled.during(stamp), strict=True):
        np.testing.assert_array_equal(one, other)
    wanted = readable.roll_forward(x, stamp, dynamics, late)
    np.testing.assert_allclose(compiled.roll_forward(x, stamp, dynamics, late), wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("delay", [0.0, 1.0, 0.3, 2.75, 11.0])
def test_the_compiled_history_is_the_readable_one(delay):
    rng, histories, stamp = np.random.default_rng(0), both(delay), 10.0
    F, f = 0.3 * rng.normal(size=(1, NX, NX + NU)), rng.normal(size=(1, NX))
    dynamics, x = LinearGaussianDynamics(F, f, np.zeros((1, NX, NX))), rng.normal(size=NX)
    for k in range(60):
        if k in (0, 25):  # from then on everything is forgotten
            command = rng.normal(size=NU)
            for history in histories:
                history.reset(command)
        if k == 40:
            for history in histories:
                history.set_delay(delay + 0.6)
        assert_same(histories, stamp, x, dynamics, late=k % 3)
        assert_same(histories, stamp - 3.5 * DT, x, dynamics, late=0)
        command, std = rng.normal(size=NU), rng.random()
        for history in histories:
            history.record(stamp, command, std)
        stamp += DT * rng.choice([1.0, 1.0, 1.1, 3.0, -40.0])  # states are lost, clocks leap


def test_of_many_stages_the_first_is_taken_and_states_of_any_size():
    (readable, compiled), rng = both(1.0), np.random.default_rng(1)
    for nx in (4, 7):
        F, f = rng.normal(size=(5, nx, nx + NU)), rng.normal(size=(5, nx))
        dynamics, x = LinearGaussianDynamics(F, f, np.zeros((1, nx, nx))), rng.normal(size=nx)
        wanted = readable.roll_forward(x, 0.0, dynamics)
        np.testing.assert_allclose(compiled.roll_forward(x, 0.0, dynamics), wanted, rtol=1e-12)


def test_what_was_returned_stays_as_it_is():
    _, compiled = both(0.0)
    compiled.record(0.0, np.ones(NU), 0.1)
    u, neighbors, _ = compiled.during(0.0)
    compiled.record(DT, np.full(NU, 2.0))
    compiled.during(DT)
    np.testing.assert_array_equal(u, np.ones(NU))
    np.testing.assert_array_equal(neighbors[1], np.ones(NU))


def test_what_does_not_compile_is_still_kept(monkeypatch):
    monkeypatch.setattr("mbrl_ros.dynamics.compiled_history.library", lambda: None)
    assert type(make_history(NU, DT, 1.0)) is CommandHistory
