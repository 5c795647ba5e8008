"""Consistency comes from the innovations: it stays where the model is right, falls where it is wrong, and recovers."""

import numpy as np
import pytest
from scipy.stats import chi2

from mbrl_ros.config.sections.dynamics import ConsistencySettings
from mbrl_ros.dynamics.consistency import NIS_CAP, Consistency
from mbrl_ros.exceptions import ConfigurationError

DT, N = 0.005, 7
BOUND = chi2.ppf(0.95, N)
DEFAULTS = ConsistencySettings()


def run(consistency, ratios, settings=DEFAULTS):
    states = []
    for ratio in ratios:
        consistency = consistency.after(ratio * BOUND, BOUND, DT, settings)
        states.append(consistency)
    return states


def test_a_right_model_is_trusted_all_day():
    rng = np.random.default_rng(0)
    states = run(Consistency(), rng.chisquare(N, 100_000) / BOUND)
    assert min(state.level for state in states) == 1.0
    assert not any(state.hold for state in states)


def test_trust_falls_with_the_size_of_the_surprise():
    # constant ratio r: the smoothed ratio reaches r; the warning level begins at 5 and ends at 50
    for ratio in (1.0, 5.0, 12.0, 40.0, 100.0):
        level = run(Consistency(), [ratio] * 400)[-1].level
        assert level == pytest.approx(np.clip(1.0 - np.log(ratio / 5.0) / np.log(10.0), 0.0, 1.0), abs=1e-6)


def test_hold_comes_after_its_time_and_goes_after_its_time():
    settings = ConsistencySettings(smoothing=DT)  # no smoothing: the level follows at once
    states = run(Consistency(), [NIS_CAP] * 60 + [0.4] * 150, settings)
    held = [state.hold for state in states]
    assert held.index(True) == round(settings.hold_after / DT) - 1
    released = held.index(False, held.index(True))
    assert released == 60 + round(settings.release_after / DT) - 1
    assert not any(held[released:])


def test_half_trust_neither_takes_hold_nor_releases_it():
    settings = ConsistencySettings(smoothing=DT)
    middling = 5.0 * 10.0**0.6  # level 0.4
    assert not any(state.hold for state in run(Consistency(), [middling] * 1000, settings))
    assert all(
        state.hold for state in run(Consistency(ratio=NIS_CAP, level=0.0, hold=True), [middling] * 1000, settings)
    )


def test_one_absurd_innovation_does_not_take_hold():
    states = run(Consistency(), [1e12] + [0.4] * 100)
    assert not any(state.hold for state in states)
    assert states[-1].level == 1.0


def test_what_is_not_finite_is_no_trust():
    state = Consistency().after(float("nan"), BOUND, DT, ConsistencySettings(smoothing=DT))
    assert state.level == 0.0


def test_effects_go_monotonically_from_normal_to_their_floors():
    settings = ConsistencySettings()
    levels = np.linspace(1.0, 0.0, 11)
    states = [Consistency(level=level) for level in levels]
    for effect, normal, floor in (
        (lambda s: s.forgetting(0.985, 0.9), 0.985, 0.9),
        (lambda s: s.prior_weight(settings), 1.0, settings.prior_floor),
        (lambda s: s.step_scale(settings), 1.0, settings.step_floor),
        (lambda s: s.command_scale(settings), 1.0, settings.command_floor),
    ):
        values = [effect(state) for state in states]
        assert values[0] == pytest.approx(normal) and values[-1] == pytest.approx(floor)
        assert (np.diff(values) < 0.0).all()


def test_a_level_of_inconsistency_below_the_warning_level_is_refused():
    with pytest.raises(ConfigurationError, match="above warning"):
        ConsistencySettings(warning=3.0, inconsistent=2.0)
