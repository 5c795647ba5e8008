"""The scenario of jogging: when messages are due, how soon a change is answered, and what passes."""

import numpy as np
import pytest

from mbrl_ros.config.sections.references import ReferenceSettings
from mbrl_ros.demo.jog_metrics import jogged
from mbrl_ros.demo.jog_scenario import JOG_RATE, JOG_SLOT, JOGS_DRAWN, JogStream, build_jog_scenario
from mbrl_ros.demo.verdict import of_run
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.scenarios.scenario import HOLD, Scenario, Slot
from support.robots import planar_robot
from support.summaries import faultless

SLOTS = (
    Slot("velocities", 1.0, 1.6, np.array([0.4, 0.0])),
    Slot("velocities", 1.6, 2.2, np.array([-0.4, 0.0])),
)


def test_streams_turn_back_and_keep_their_rate_whatever_the_states_do():
    scenario = build_jog_scenario(planar_robot(6, effort=60.0), 3)
    assert len(scenario.slots) == 2 * JOGS_DRAWN and {slot.kind for slot in scenario.slots} == {"twist", "velocities"}
    for there, back in zip(scenario.slots[::2], scenario.slots[1::2], strict=True):
        np.testing.assert_array_equal(there.value, -back.value)
        assert there.end == back.start and np.abs(there.value).max() > 0.0
    for period in (0.005, 0.004, 0.001):
        stream, times = JogStream(scenario), []
        for now in np.arange(0.0, HOLD + 2.0 * JOG_SLOT, period):
            times += [now for _ in stream.due(now)]
        assert abs(len(times) - 2.0 * JOG_SLOT * JOG_RATE) <= 2 and times[0] == pytest.approx(HOLD)
        assert np.diff(times).min() > 0.5 / JOG_RATE
        assert [number for _, number in stream.sent] == [0, 1]
        assert [t for t, _ in stream.sent] == pytest.approx([HOLD, HOLD + JOG_SLOT], abs=period)


def log(delay: float) -> tuple[dict, dict]:
    """Return the logs of a joint whose velocity follows both slots `delay` [s] later in a ramp of 0.1 s."""
    stamps = np.arange(0.0, 3.0, 0.005)
    ramp = lambda t: np.clip((stamps - t - delay) / 0.1, 0.0, 1.0)  # noqa: E731  # a short formula
    qd = np.stack((0.4 * ramp(1.0) - 0.8 * ramp(1.6), np.zeros_like(stamps)), axis=1)
    q = np.cumsum(qd, axis=0) * 0.005
    return {"stamp": stamps, "qd": qd}, {"stamp": stamps, "reference_q": q}


def test_the_latency_counts_until_a_tenth_of_the_change():
    robot, scenario = planar_robot(2), Scenario(0, 3.0, SLOTS, 0.0, None)
    found = jogged(scenario, robot, *log(0.03), [(1.0, 0), (1.6, 1)], ReferenceSettings())
    assert found["changes"] == found["answered"] == 2
    assert found["latency_ms"]["max"] == pytest.approx(40.0, abs=1e-6)  # 30 ms, and 10 ms of the ramp
    late = jogged(scenario, robot, *log(0.03), [(0.99, 0), (1.6, 1)], ReferenceSettings())
    assert late["latency_ms"]["max"] == pytest.approx(50.0, abs=1e-6)  # the message came earlier
    truth, control = log(0.0)
    still = jogged(scenario, robot, {**truth, "qd": 0.0 * truth["qd"]}, control, [(1.0, 0)], ReferenceSettings())
    assert still["answered"] == 0 and still["latency_ms"]["max"] is None
    rough = {**control, "reference_q": np.round(control["reference_q"], 2)}
    assert jogged(scenario, robot, truth, rough, [(1.0, 0)], ReferenceSettings())["jerk_share"] > 1.0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"answered": 19}, "1 of 20 changes of a stream had no answer"),
        ({"latency_ms": {"p50": 25.0, "p99": 60.0, "max": 65.0}}, "answered after 65 ms (at most 60)"),
        ({"jerk_share": 1.2}, "jerk reached 1.200 of its limit"),
    ],
)
def test_what_passes(change, why):
    jog = {"changes": 20, "answered": 20, "latency_ms": {"p50": 25.0, "p99": 40.0, "max": 60.0}, "jerk_share": 1.0}
    summary = faultless(jog={**jog, **change})
    verdict = of_run(summary)
    assert verdict.passed == (not why) and why in verdict.why


def test_an_arm_that_cannot_turn_its_tool_is_told_so():
    with pytest.raises(ConfigurationError, match="3 joints are too few"):
        build_jog_scenario(planar_robot(3), 0)
