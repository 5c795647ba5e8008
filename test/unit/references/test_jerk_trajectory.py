"""Motions with limited jerk: never slower than Ruckig's, within every limit, exactly where they are to end."""

import importlib

import numpy as np
import pytest

from mbrl_ros.exceptions import TargetError
from mbrl_ros.references.jerk_profile import Limits, brake, integrate, rising_root, stop
from mbrl_ros.references.jerk_trajectory import LONGEST_MOTION, JerkTrajectory, to_rest
from mbrl_ros.references.jerk_velocity import to_velocity
from support.needs import needs

RELATIVE = 1e-9  # of a limit, and of what a state may have moved by in the whole motion
LONGER = 1e-6  # relative to Ruckig's duration
ROUNDING = 16.0 * np.finfo(float).eps  # of a time

MIXED, LIKE_AN_ARM = "mixed", "like an arm"
KINDS = ("rest", "same place", "at the velocity limit", "at the acceleration limit", "outside", "fast", "near", "stop")


def random_motion(rng: np.random.Generator, kind: str, scale: str) -> tuple[list, list, list]:
    """Start (p, v, a), goal and limits of one to three joints."""
    n = int(rng.integers(1, 4))
    if scale == MIXED:
        limits = 10.0 ** rng.uniform(-2.0, 2.0, (3, n))
    else:
        limits = 10.0 ** rng.uniform(-0.5, 0.5, (3, n)) * np.array([[1.0], [2.0], [15.0]])
    V, A, J = limits
    p, goal = rng.normal(size=(2, n)) * 10.0 ** rng.uniform(-3.0, 1.0, (2, 1))
    most = 3.0 if kind in ("outside", "fast", "stop") else 1.0
    v, a = rng.uniform(-most, most, (2, n)) * limits[:2]
    if kind in ("rest", "near"):
        v, a = np.zeros((2, n))
    if kind == "same place":
        goal = p
    if kind == "near":
        goal = p + 10.0 ** rng.uniform(-9.0, -3.0, n)
    if kind == "at the velocity limit":
        v, a = np.sign(v) * V, np.zeros(n)
    if kind == "at the acceleration limit":
        a = np.sign(a) * A
    if kind == "fast":
        a = np.zeros(n)
    if kind == "stop":
        goal = p + [stop(*state, Limits(*of))[1] for *state, of in zip(v, a, limits.T, strict=True)]
    return [p.tolist(), v.tolist(), a.tolist()], goal.tolist(), limits.tolist()


def pieces_of(motion: JerkTrajectory, j: int) -> list[tuple[float, float, float, float, float]]:
    """(duration, p, v, a, jerk) of joint j; the last one has no duration."""
    begins, C = motion.polynomials()
    there = np.isfinite(begins[j])
    durations = np.append(np.diff(begins[j][there]), 0.0)
    return [(t, p, v, 2.0 * a, 6.0 * k) for t, (p, v, a, k) in zip(durations, C[j][there], strict=True)]


def assert_joined(pieces, largest, T: float) -> None:
    """Every piece ends where the next begins; largest: of position, velocity, acceleration and jerk."""
    by_time = ROUNDING * T * np.array(largest[1:])  # what an error of the times makes
    for (t, *state, jerk), (_, *after, _) in zip(pieces, pieces[1:], strict=False):
        assert np.abs(np.subtract(integrate([(t, jerk)], *state), after) <= RELATIVE * largest[:3] + by_time).all()


def assert_within(pieces, V: float, A: float, J: float) -> None:
    """Once it is within the limits, it stays there."""
    braked, end, inside = sum(t for t, _ in brake(pieces[0][2], pieces[0][3], Limits(V, A, J))), 0.0, False
    for t, _, v, a, jerk in pieces:
        assert abs(jerk) <= (1.0 + RELATIVE) * J
        end += t
        if end - 0.5 * t < braked:
            continue
        for s in sorted({0.0, t} | ({-a / jerk} if jerk and 0.0 < -a / jerk < t else set())):
            speed = abs(v + s * (a + 0.5 * s * jerk))
            inside = inside or speed <= V
            assert not inside or (speed <= (1.0 + RELATIVE) * V and abs(a + s * jerk) <= (1.0 + RELATIVE) * A)


def assert_no_detour(motion: JerkTrajectory, start, goal, limits) -> None:
    """No joint goes beyond its goal, but for where the fastest stop leads it."""
    halted = [brake(v, a, Limits(*of)) for v, a, of in zip(start[1], start[2], zip(*limits, strict=True), strict=True)]
    least, most = motion.extrema(np.inf)
    for j, (p, v, a) in enumerate(zip(*start, strict=True)):
        of = Limits(*(bound[j] for bound in limits))
        braked = integrate(halted[j], p, v, a)
        pieces = halted[j] + stop(braked[1], braked[2], of)[0]
        alone = JerkTrajectory([[p], [v], [a]], [pieces], [(integrate(pieces, p, v, a)[0], 0.0, 0.0)], np.inf)
        lowest, highest = (extreme[0] for extreme in alone.extrema(1e9))
        slack = RELATIVE * (abs(p) + abs(goal[j]) + of.velocity * motion.duration)
        assert least[j] >= min(lowest, goal[j]) - slack and most[j] <= max(highest, goal[j]) + slack


def fastest_of_ruckig(start, goal, limits) -> float | None:
    ruckig = importlib.import_module("ruckig")
    wanted, found = ruckig.InputParameter(len(goal)), ruckig.Trajectory(len(goal))
    wanted.current_position, wanted.current_velocity, wanted.current_acceleration = start
    wanted.target_position = goal
    wanted.max_velocity, wanted.max_acceleration, wanted.max_jerk = limits
    try:
        ruckig.Ruckig(len(goal), 0.01).calculate(wanted, found)
    except (ruckig.RuckigError, ValueError):  # it finds none
        return None
    return found.duration


def check_to_rest(seed: int, cases: int, compare: bool) -> None:
    rng, compared = np.random.default_rng(seed), 0
    for i in range(cases):
        start, goal, limits = random_motion(rng, KINDS[i % len(KINDS)], (MIXED, LIKE_AN_ARM)[i // len(KINDS) % 2])
        try:
            motion = to_rest(start, goal, *limits)
        except TargetError as error:
            assert f"more than {LONGEST_MOTION:.0f} s" in str(error)
            continue
        for j, (V, A, J) in enumerate(zip(*limits, strict=True)):
            pieces = pieces_of(motion, j)
            assert pieces[-1][1:] == (goal[j], 0.0, 0.0, 0.0)
            fast, strong = max(V, abs(start[1][j])), max(A, abs(start[2][j]))
            way = max(abs(start[0][j]), abs(goal[j]), fast * motion.duration)
            assert_joined(pieces, np.array([way, fast, strong, J]), motion.duration)
            assert_within(pieces, V, A, J)
        assert_no_detour(motion, start, goal, limits)
        fastest = fastest_of_ruckig(start, goal, limits) if compare else None
        if fastest is not None:
            compared += 1
            assert motion.duration <= (1.0 + LONGER) * fastest + 1e-12
    assert not compare or compared > 0.8 * cases


def test_motions_to_rest_keep_the_limits_and_end_exactly():
    check_to_rest(seed=0, cases=320, compare=False)


@needs("ruckig")
@pytest.mark.parametrize(("seed", "cases"), [(1, 400), pytest.param(2, 20000, marks=pytest.mark.slow)])
def test_motions_to_rest_are_never_slower_than_those_of_ruckig(seed, cases):
    check_to_rest(seed, cases, compare=True)


def random_change(rng: np.random.Generator, kind: str) -> tuple[list, list, list]:
    """Start (p, v, a), velocities and limits of one to four joints."""
    n = int(rng.integers(1, 5))
    A, J = 10.0 ** rng.uniform(-1.0, 1.0, (2, n))
    speed = (A * A / J).min() * 10.0 ** rng.uniform(-1.0, 1.0)
    p, v, wanted = rng.normal(size=(3, n)) * np.array([[1.0], [speed], [speed]])
    a = rng.uniform(-1.0, 1.0, n) * A * (3.0 if kind == "outside" else 1.0)
    if kind == "rest":
        wanted = np.zeros(n)
    if kind == "same place":
        v, a = wanted, np.zeros(n)
    if kind == "near":
        v = wanted
    if kind == "fast":
        a = np.zeros(n)
    return [p.tolist(), v.tolist(), a.tolist()], wanted.tolist(), [A.tolist(), J.tolist()]


def fastest_change_of_ruckig(start, wanted, limits) -> float:
    ruckig = importlib.import_module("ruckig")
    i, found = ruckig.InputParameter(len(wanted)), ruckig.Trajectory(len(wanted))
    i.control_interface = ruckig.ControlInterface.Velocity
    i.current_position, i.current_velocity, i.current_acceleration = start
    i.target_velocity = wanted
    i.max_acceleration, i.max_jerk = limits
    ruckig.Ruckig(len(wanted), 0.01).calculate(i, found)
    return found.duration


def check_to_velocity(seed: int, cases: int, compare: bool) -> None:
    rng = np.random.default_rng(seed)
    for i in range(cases):
        start, wanted, (A, J) = random_change(rng, KINDS[i % len(KINDS)])
        motion = to_velocity(start, wanted, A, J)
        lowest, highest = motion.extrema(np.inf)
        for j, (p, v, a) in enumerate(zip(*start, strict=True)):
            pieces = pieces_of(motion, j)
            assert pieces[-1][2:] == (wanted[j], 0.0, 0.0)
            fast, strong = max(abs(v), abs(wanted[j])) + a * a / J[j], max(A[j], abs(a))
            assert_joined(pieces, np.array([abs(p) + fast * motion.duration, fast, strong, J[j]]), motion.duration)
            states = np.array([state[1:] for state in pieces])
            slack = RELATIVE * fast
            forced = v + 0.5 * a * abs(a) / J[j]  # the velocity once the acceleration is gone
            assert (np.abs(states[:, 3]) <= (1.0 + RELATIVE) * J[j]).all()
            assert (np.abs(states[:, 2]) <= (1.0 + RELATIVE) * strong).all()
            assert states[:, 1].min() >= min(v, wanted[j], forced) - slack
            assert states[:, 1].max() <= max(v, wanted[j], forced) + slack
            slack *= motion.duration
            assert lowest[j] <= states[:, 0].min() + slack and states[:, 0].max() <= highest[j] + slack
        if compare:
            assert motion.duration == pytest.approx(fastest_change_of_ruckig(start, wanted, (A, J)), rel=LONGER)


def test_motions_to_velocities_keep_the_limits_and_turn_back_no_farther_than_they_must():
    check_to_velocity(seed=0, cases=320, compare=False)


@needs("ruckig")
@pytest.mark.parametrize(("seed", "cases"), [(1, 400), pytest.param(2, 20000, marks=pytest.mark.slow)])
def test_motions_to_velocities_are_as_fast_as_those_of_ruckig(seed, cases):
    check_to_velocity(seed, cases, compare=True)


def test_joints_that_can_move_in_one_direction_do():
    direction = np.array([1.0, -0.4, 0.2])
    motion = to_velocity([[0.0] * 3, [0.0] * 3, (0.5 * direction).tolist()], direction.tolist(), [2.0] * 3, [9.0] * 3)
    for t in np.linspace(0.0, motion.duration, 7):
        for state in motion.at_time(t):
            np.testing.assert_allclose(state, state[0] * direction, rtol=0.0, atol=1e-14)


def test_from_rest_the_slower_joint_decides_and_the_other_goes_at_a_lower_speed():
    motion = to_rest([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]], [2.0, 0.1], [1.0, 1.0], [2.0, 2.0], [10.0, 10.0])
    assert motion.duration == pytest.approx(2.0 / 1.0 + 1.0 / 2.0 + 2.0 / 10.0, rel=1e-14)  # d/V + V/A + A/J
    assert motion.at_time(0.05)[2] == pytest.approx([0.5, 0.5], abs=1e-14)  # both with the whole jerk
    v = motion.at_time(0.5 * motion.duration)[1][1]
    assert 0.1 / v + 2.0 * np.sqrt(v / 10.0) == pytest.approx(motion.duration, rel=1e-12)
    assert to_rest([[1.0], [0.0], [0.0]], [1.0], [1.0], [2.0], [10.0]).duration == 0.0


@pytest.mark.parametrize("seed", (4, 5))
def test_motions_from_rest_are_those_of_ruckig(seed):
    ruckig = pytest.importorskip("ruckig", reason="the reference implementation")
    rng, n = np.random.default_rng(seed), 7
    for _ in range(40):
        start, goal = rng.uniform(-1.0, 1.0, (2, n)) * 10.0 ** rng.uniform(-3.0, 1.0)
        V, A, J = 10.0 ** rng.uniform(-1.0, 1.0, (3, n))
        nothing = [0.0] * n
        ours = to_rest([start.tolist(), nothing, nothing], goal.tolist(), V.tolist(), A.tolist(), J.tolist())
        wanted, theirs = ruckig.InputParameter(n), ruckig.Trajectory(n)
        wanted.current_position, wanted.target_position = start.tolist(), goal.tolist()
        wanted.max_velocity, wanted.max_acceleration, wanted.max_jerk = V.tolist(), A.tolist(), J.tolist()
        assert ruckig.Ruckig(n, 0.01).calculate(wanted, theirs).value >= 0
        assert ours.duration == pytest.approx(theirs.duration, rel=1e-9)
        for t in np.linspace(0.0, ours.duration, 9):
            np.testing.assert_allclose(
                ours.at_time(t)[0], theirs.at_time(t)[0], rtol=0.0, atol=1e-7 * np.abs(goal - start).max()
            )


@pytest.mark.parametrize("bad", (np.nan, np.inf))
def test_what_is_not_finite_or_no_limit_is_refused(bad):
    rest, limits = [[0.0], [0.0], [0.0]], [[1.0], [2.0], [10.0]]
    for wrong in (lambda: to_rest(rest, [bad], *limits), lambda: to_velocity(rest, [bad], [2.0], [10.0])):
        with pytest.raises(TargetError, match="not finite"):
            wrong()
    for limit in (bad, 0.0, -1.0):
        with pytest.raises(TargetError, match="not a positive number"):
            to_rest(rest, [1.0], [limit], [2.0], [10.0])
    with pytest.raises(TargetError, match="8000 s, more than 7600 s"):
        to_rest(rest, [8000.0], [1.0], [1e9], [1e12])


@pytest.mark.parametrize("power", (1, 3, 9))
def test_roots_are_found_to_the_last_bits(power):
    assert rising_root(lambda x: x**power - 1e-9, 1e3) == pytest.approx(10.0 ** (-9.0 / power), rel=1e-15)
