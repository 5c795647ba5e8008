"""The compiled limiter is the readable one, to the last bit."""

import dataclasses

import numpy as np
import pytest

from mbrl_ros.config.sections.safety import SupervisorSettings
from mbrl_ros.safety.command_limiter import CommandLimiter
from mbrl_ros.safety.compiled_limiter import CompiledLimiter, library, make_limiter
from mbrl_ros.safety.state_machine import Reason
from mbrl_ros.types import Observation
from support.robots import planar_robot

DT = 0.005
STATE = ("previous", "_last_step", "_fraction")


def robot_with(interface, joints=3):
    robot = planar_robot(joints)
    endless = np.where(np.arange(joints) == joints - 1, np.inf, robot.position_upper)  # the last joint has no stops
    limits = {"position_upper": endless, "position_lower": np.where(endless == np.inf, -np.inf, robot.position_lower)}
    return dataclasses.replace(robot, interface=interface, **limits)


def assert_same(compiled, readable):
    for name in STATE:
        assert np.array_equal(getattr(compiled, name), getattr(readable, name), equal_nan=True), name


@pytest.mark.slow(but=2)
@pytest.mark.skipif(library() is None, reason="there is no C++ compiler")
@pytest.mark.parametrize("joints", [1, 3, 7])
@pytest.mark.parametrize("interface", ["effort", "velocity", "position"])
def test_the_compiled_limiter_is_the_readable_one(interface, joints):
    robot, settings = robot_with(interface, joints), SupervisorSettings()
    random, seen = np.random.default_rng(0), 0
    readable, compiled = CommandLimiter(robot, settings, DT), CompiledLimiter(library(), robot, settings, DT)
    span = robot.command_upper - robot.command_lower
    lower, upper = np.maximum(robot.position_lower, -4.0), np.minimum(robot.position_upper, 4.0)
    for k in range(3000):
        q = lower + (upper - lower) * (1.1 * random.random(joints) - 0.05)
        qd = 1.2 * robot.velocity_limit * random.normal(size=joints) ** 3
        for state in (q, qd):
            state[random.integers(joints)] *= random.choice([1.0, np.nan, np.inf], p=[0.98, 0.01, 0.01])
        observation = Observation(k * DT, q, qd)
        u = readable.previous + random.choice([1e-13, 0.01, 0.3, 1.5]) * span * random.normal(size=joints)
        u[0] = random.choice([u[0], u[0], u[0], np.nan, np.inf], p=[0.3, 0.3, 0.37, 0.02, 0.01])
        slower, share = random.choice([1.0, 1.0, 0.5, 0.1]), random.choice([1.0, 1.0, 0.25])
        near = 0.02 * np.ones(joints) if random.random() < 0.2 else None
        assert compiled.watch(q) == readable.watch(q)
        wanted, reasons = readable.limit(u, observation, slower, near, share)
        found, flags = compiled.limit(u, observation, slower, near, share)
        assert np.array_equal(found, wanted) and flags == reasons
        assert_same(compiled, readable)
        seen |= flags
        if k % 500 == 499:
            for limiter in (readable, compiled):
                limiter.reset(np.zeros(joints), np.ones(joints))
                limiter.stopping(observation if interface != "effort" else None)
    assert seen == Reason.SPEED | Reason.LIMIT | Reason.RATE  # every branch was there


def test_commands_of_different_ticks_are_different_arrays():
    limiter = make_limiter(robot_with("effort"), SupervisorSettings(), DT)
    observation = Observation(0.0, np.zeros(3), np.zeros(3))
    first, _ = limiter.limit(np.ones(3), observation, 1.0, None)
    kept = first.copy()
    limiter.limit(-np.ones(3), observation, 1.0, None)
    assert np.array_equal(first, kept)


def test_what_does_not_compile_still_limits(monkeypatch):
    monkeypatch.setattr("mbrl_ros.safety.compiled_limiter.library", lambda: None)
    assert type(make_limiter(robot_with("effort"), SupervisorSettings(), DT)) is CommandLimiter
