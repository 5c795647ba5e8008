"""Several teachers, several tasks, discrete choices: what one student makes of them."""

import dataclasses

import numpy as np
import pytest

from mbrl_ros.config.sections.distillation import DistillationSettings
from mbrl_ros.distillation.ensemble import TeacherEnsemble, mixture
from mbrl_ros.distillation.imitation import METHODS
from mbrl_ros.distillation.soft_targets import fit_choice, soft_targets
from mbrl_ros.distillation.trainer import Trainer
from mbrl_ros.exceptions import DataError
from support.robots import planar_robot
from support.teaching import SETTINGS, N, sample


def test_the_mixtures_moments_are_those_of_its_samples():
    rng = np.random.default_rng(0)
    u, p = np.array([[0.0, 1.0], [2.0, -1.0], [1.0, 0.5]]), np.array([0.5, 0.3, 0.2])
    covariances = np.array([np.diag([0.5, 0.2]), [[0.4, 0.1], [0.1, 0.3]], np.eye(2)])
    mean, P = mixture(u, np.linalg.inv(covariances), p)
    which = rng.choice(3, 200_000, p=p)
    draws = u[which] + np.einsum(
        "nij,nj->ni", np.linalg.cholesky(covariances)[which], rng.standard_normal((len(which), 2))
    )
    assert mean == pytest.approx(draws.mean(axis=0), abs=0.01)
    assert np.linalg.inv(P) == pytest.approx(np.cov(draws.T), abs=0.02)


def test_teachers_who_agree_keep_their_precision_and_a_dispute_lowers_it_along_itself():
    P = np.array([np.diag([4.0, 2.0])] * 2)
    assert mixture(np.ones((2, 2)), P)[1] == pytest.approx(P[0], rel=1e-6)
    disputed = mixture(np.array([[3.0, 1.0], [-3.0, 1.0]]), P)[1]
    assert disputed[0, 0] < 0.15 and disputed[1, 1] == pytest.approx(2.0, rel=1e-6)


def test_two_teachers_of_one_arm_become_one_sample_per_state():
    trainer = Trainer(planar_robot(N), SETTINGS.replace(teachers=2))
    for k in range(100):
        one = sample(0.005 * k, q=np.full(N, 0.04 * k), u=np.full(N, 1.0), source="/a/mpc_node")
        trainer.offer(one)
        if k != 50:  # lost on the way
            trainer.offer(dataclasses.replace(one, u=np.full(N, 3.0), source="/a/other_node"))
    assert trainer.memory.count == 99 and trainer.memory.samples().u == pytest.approx(2.0)


def test_a_state_that_stays_unanswered_does_not_fill_memory():
    ensemble = TeacherEnsemble(2)
    for k in range(1000):
        assert ensemble.add(sample(float(k), source="one")) is None
    assert len(ensemble._open) <= 101


def test_what_a_teacher_says_while_it_holds_does_not_decide_what_is_learned():
    trainer = Trainer(planar_robot(N), SETTINGS)
    assert not trainer.offer(dataclasses.replace(sample(1.0), kind="joints", target=np.zeros(N)))
    assert trainer.memory is None and trainer.other_kinds == 1
    assert trainer.offer(sample(2.0)) and trainer.memory.kind == "point"


def test_temperature_goes_from_the_best_option_to_all_alike():
    z = np.array([[1.0, 2.0, 0.0]])
    assert soft_targets(z, 1e-3) == pytest.approx(np.array([[0.0, 1.0, 0.0]]))
    assert soft_targets(z, 1e6) == pytest.approx(np.full((1, 3), 1.0 / 3.0), abs=1e-5)
    assert soft_targets(z, 1.0)[0] == pytest.approx(np.exp(z[0]) / np.exp(z[0]).sum())


def scores(x):
    """Three options whose costs cross: which is best depends on both features."""
    return np.column_stack([2.0 * x[:, 0], x[:, 1] + 0.5, -x[:, 0] * x[:, 1]])


@pytest.mark.slow
def test_soft_targets_teach_more_than_hard_ones_from_few_samples():
    rng, right = np.random.default_rng(3), {}
    unseen = rng.uniform(-1.5, 1.5, (2000, 2))
    for temperature in (1.0, 1e-3):
        found = []
        for seed in range(5):
            x = np.random.default_rng(10 + seed).uniform(-1.5, 1.5, (25, 2))
            found.append(
                (fit_choice(x, scores(x), temperature, seed=seed).best(unseen) == scores(unseen).argmax(1)).mean()
            )
        right[temperature] = np.mean(found)
    assert right[1.0] > 0.9 and right[1.0] > right[1e-3]
    again = fit_choice(x, scores(x), 1.0, seed=4)
    assert np.array_equal(again.W1, fit_choice(x, scores(x), 1.0, seed=4).W1)


def test_malformed_choices_are_refused():
    with pytest.raises(DataError, match="finite rows"):
        fit_choice(np.zeros((3, 2)), np.full((3, 2), np.nan), 1.0)


def test_the_methods_are_those_of_the_setting():
    assert tuple(METHODS) == DistillationSettings.infos()["method"][1].choices
