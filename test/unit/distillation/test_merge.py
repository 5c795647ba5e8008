"""Several policies become one, without the samples they were taught with."""

import ctypes
import dataclasses
import functools
import json
import shutil
import subprocess

import numpy as np
import pytest
import yaml

from mbrl_ros.cli.main import main
from mbrl_ros.distillation.compiled_policy import CompiledPolicy
from mbrl_ros.distillation.ensemble import mixture
from mbrl_ros.distillation.export import to_c
from mbrl_ros.distillation.fit import fit
from mbrl_ros.distillation.inertia import PointMassInertia
from mbrl_ros.distillation.merge import merge
from mbrl_ros.distillation.policy import from_bytes, load
from mbrl_ros.distillation.region import state_scores, target_scores
from mbrl_ros.distillation.student import acceleration, goal, shorten
from mbrl_ros.distillation.teachers import Visited, distances, known_at, labelled
from mbrl_ros.exceptions import DataError
from support.robots import planar_arm, planar_robot
from support.teaching import MU, ROTOR_INERTIA, SETTINGS, N, goal_of, taught_samples

STUDENT = SETTINGS.replace(goal_units=16, iterations=150)


@pytest.fixture(scope="module")
def robot():
    return planar_robot(N)


def teacher(robot, sign=1.0, seed=0, part=None):
    """A policy whose goals are `sign` times goal_of, taught at the samples that `part` chooses by their targets."""
    s = taught_samples(robot, seed=seed)
    M = PointMassInertia(robot).inertia(s.q, MU, ROTOR_INERTIA)
    y = 7.0 * shorten(8.0 * (1.2 * shorten(3.0 * (sign * goal_of(s.target) - s.q) / 1.2) - s.qd) / 7.0)
    s = dataclasses.replace(s, u=s.w + SETTINGS.inertia_scale * np.einsum("nij,nj->ni", M, y - s.a))
    return fit(s if part is None else s.take(part(s.target)), robot, "point", SETTINGS.replace(seed=seed))[0]


@pytest.fixture(scope="module")
def two_tasks(robot):
    return [teacher(robot), teacher(robot, -1.0, seed=1)]


@pytest.fixture(scope="module")
def merged(robot, two_tasks):
    return merge(two_tasks, robot, STUDENT, samples=1000, restarts=1)[0]


class Stopped(Exception):
    """Raised in place of a descent."""


def problem_of(monkeypatch, policies, robot, **options):
    """The learning problem of the student of `policies`, without the descent."""
    found = []

    def caught(problem, *rest):
        found.append(problem)
        raise Stopped

    monkeypatch.setattr("mbrl_ros.distillation.fit._descend", caught)
    with pytest.raises(Stopped):
        merge(policies, robot, SETTINGS, samples=400, restarts=0, **options)
    return found[0]


def rest(policy, targets, task=0, dt=0.01, seconds=5.0):
    """Where the policy brings an arm that accelerates as it wants: postures (T, n) for targets (T, 3)."""
    p = policy.shape.unpack(policy.theta)
    g, _ = goal(policy.shape, policy.white, p, targets, np.full(len(targets), task))
    q = qd = np.zeros_like(g)
    for _ in range(round(seconds / dt)):
        qd = qd + dt * acceleration(policy.shape, policy.white, p, q, qd, g)[0]
        q = q + dt * qd
    return q


def unseen(count=60, low=-0.9, high=0.9):
    return np.random.default_rng(7).uniform([low, 0.0, -0.9], [high, 0.0, 0.9], (count, 3))


@pytest.mark.slow
def test_two_tasks_with_opposite_goals_become_one_student_that_the_task_tells_apart(robot, two_tasks, merged):
    assert merged.shape.tasks == 2
    for task, policy in enumerate(two_tasks):
        asked, reached = rest(policy, unseen()), rest(merged, unseen(), task)
        assert np.abs(reached - asked).mean() < 0.1 * np.abs(asked).mean()
        assert np.abs(reached - rest(merged, unseen(), 1 - task)).mean() > np.abs(asked).mean()


def test_what_a_teacher_knew_the_student_knows(two_tasks, merged):
    for task, policy in enumerate(two_tasks):
        states, points = policy.taught[0].states, policy.taught[0].targets.points
        inside = states.mean + 0.9 * states.bound * np.linalg.inv(states.factor).T
        assert (state_scores(merged.taught, inside[states.score(inside) <= 1.0], task) <= 1.0).all()
        assert (target_scores(merged.taught, points, task) <= 1.0).all()


def test_the_weights_of_three_teachers_are_as_their_precisions(monkeypatch, robot, two_tasks):
    three = [dataclasses.replace(two_tasks[0], precision=c * two_tasks[0].precision) for c in (1.0, 1.0, 100.0)]
    batch = problem_of(monkeypatch, three, robot).training
    first, *others = (batch.P[batch.task == task] for task in range(3))
    for c, P in zip((1.0, 100.0), others, strict=True):
        np.testing.assert_allclose(P[0], c * first[0])
        np.testing.assert_allclose(P, np.broadcast_to(P[0], P.shape))


@pytest.mark.slow(but=2)
@pytest.mark.parametrize("count", [2, 4, 6, 8, 16])
def test_of_every_teacher_the_same_share_of_targets_is_held_out(monkeypatch, robot, two_tasks, count):
    problem = problem_of(monkeypatch, (two_tasks * count)[:count], robot)
    for task in range(count):
        held_out, training = (int((part.task == task).sum()) for part in (problem.held_out, problem.training))
        assert 0.06 < held_out / (held_out + training) < 0.2


@pytest.mark.slow
def test_a_merge_repeats_itself(robot, two_tasks):
    first, second = (merge(two_tasks, robot, SETTINGS, samples=200, restarts=0)[0] for _ in range(2))
    assert first.to_bytes() == second.to_bytes()
    other = merge(two_tasks, robot, SETTINGS.replace(seed=1), samples=200, restarts=0)[0]
    assert not np.array_equal(first.theta, other.theta)


def test_the_weight_of_a_label_is_its_teachers_precision(robot, two_tasks):
    """So that where tasks cannot be told apart the best student is the precision-weighted mean of the teachers."""
    first, second = two_tasks[0], dataclasses.replace(two_tasks[1], precision=4.0 * two_tasks[0].precision)
    rng = np.random.default_rng(0)
    q, targets = 0.3 * rng.standard_normal((5, N)), unseen(5)
    at = Visited(q, 0.0 * q, targets, np.zeros(5, dtype=np.int64), np.arange(5))
    a, b = (labelled([policy], at, PointMassInertia(robot), rng) for policy in (first, second))
    np.testing.assert_allclose(b.P, 4.0 * a.P)
    P = a.P + b.P
    weighted = np.linalg.solve(P, (a.P @ a.u[:, :, None] + b.P @ b.u[:, :, None]))[:, :, 0]
    np.testing.assert_allclose(weighted, 0.2 * a.u + 0.8 * b.u, atol=1e-9)


@pytest.mark.slow
def test_five_policies_of_one_task_become_one_that_is_as_good_as_their_ensemble(robot):
    """Each was taught on other data; within 10 % of the ensemble's error, and a fifth of its parameters."""
    edges = np.linspace(-1.0, 1.0, 6)
    five = [
        teacher(robot, seed=k, part=lambda t, k=k: (t[:, 0] > edges[k] - 0.45) & (t[:, 0] < edges[k + 1] + 0.45))
        for k in range(5)
    ]
    student = merge(five, robot, SETTINGS, same_task=True, samples=600, restarts=2)[0]
    targets = unseen()
    at = Visited(rest(student, targets), np.zeros((60, N)), targets, np.zeros(60, np.int64), np.arange(60))
    known, each = known_at(five, at), np.array([rest(policy, targets) for policy in five])
    ensemble = np.einsum("et,etn->tn", known / known.sum(axis=0), each)
    error, ensembles = (np.sqrt(((q - goal_of(targets)) ** 2).mean()) for q in (rest(student, targets), ensemble))
    assert error < 1.1 * ensembles
    assert student.shape.tasks == 1 and student.theta.size == five[0].theta.size


def test_teachers_of_one_task_are_mixed_where_they_were_taught(robot, two_tasks):
    (part,) = two_tasks[1].taught
    part = dataclasses.replace(part, targets=dataclasses.replace(part.targets, bound=1e-6))
    away = dataclasses.replace(two_tasks[1], taught=(part,))
    q = np.zeros((4, N))
    at = Visited(q, q, unseen(4), np.zeros(4, dtype=np.int64), np.arange(4))
    rng, inertia = np.random.default_rng(0), PointMassInertia(robot)
    alone, other = (labelled([policy], at, inertia, rng) for policy in two_tasks)
    np.testing.assert_allclose(labelled([two_tasks[0], away], at, inertia, rng).u, alone.u, rtol=1e-9)
    both = labelled(two_tasks, at, inertia, rng)
    u, P = mixture(np.array([alone.u[0], other.u[0]]), np.array([alone.P[0], other.P[0]]))
    np.testing.assert_allclose(both.u[0], u), np.testing.assert_allclose(both.P[0], P)


def moved(policy, states=0.0, targets=0.0):
    """`policy`, as if it had been taught elsewhere."""
    (part,) = policy.taught
    shift = np.full(2 * N, states)
    region = dataclasses.replace(
        part.states, mean=part.states.mean + shift, low=part.states.low + shift, high=part.states.high + shift
    )
    near = dataclasses.replace(part.targets, points=part.targets.points + targets)
    return dataclasses.replace(policy, taught=(dataclasses.replace(part, states=region, targets=near),))


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("same_task", [False, True])
def test_what_no_teacher_knew_the_student_does_not_know(robot, two_tasks, same_task):
    """Neither states and targets midway between two teachers nor, of one task, those of another task's teacher."""
    far = [two_tasks[0], moved(two_tasks[1], 20.0, 20.0)]
    student = merge(far, robot, SETTINGS, same_task=same_task, samples=200, restarts=0)[0]
    student = from_bytes(student.to_bytes())
    rng = np.random.default_rng(3)
    x, tau = (rng.uniform(-1.0, 21.0, (400, 1)) + rng.uniform(-1.0, 1.0, (400, k)) for k in (2 * N, 3))
    for task in range(student.shape.tasks):
        its = far if same_task else far[task : task + 1]
        known = np.min([policy.taught[0].states.score(x) for policy in its], axis=0)
        np.testing.assert_allclose(state_scores(student.taught, x, task), known)
        near = np.min([[policy.taught[0].targets.score(t) for t in tau] for policy in its], axis=0)
        np.testing.assert_allclose(target_scores(student.taught, tau, task), near)
        middle = np.mean([policy.taught[0].states.mean for policy in far], axis=0)
        assert state_scores(student.taught, middle[None], task) > 1.0
        acting = CompiledPolicy(student, robot)
        for k in range(0, 400, 40):
            acting.set_target(tau[k], task)
            acting.act(x[k, :N], x[k, N:], np.zeros(N), np.zeros(N))
            assert acting.scores["state"] == pytest.approx(known[k])
            assert acting.scores["target"] == pytest.approx(near[k])


def test_policies_that_are_not_alike_are_refused(robot, two_tasks):
    with pytest.raises(DataError, match="at least two"):
        merge(two_tasks[:1], robot, SETTINGS)
    other = dataclasses.replace(two_tasks[1], shape=dataclasses.replace(two_tasks[1].shape, window=0.08))
    with pytest.raises(DataError, match="differ in 'window'"):
        merge([two_tasks[0], other], robot, SETTINGS)
    with pytest.raises(DataError, match="another robot"):
        merge(two_tasks, planar_robot(2), SETTINGS)
    heavy = dataclasses.replace(two_tasks[1], mu=np.ones(7))
    with pytest.raises(DataError, match="7 point masses, this robot has 3"):
        merge([two_tasks[0], heavy], robot, SETTINGS)
    with pytest.raises(DataError, match="7 point masses, this robot has 3"):
        CompiledPolicy(heavy, robot)
    white = dataclasses.replace(two_tasks[1].white, deviation=np.full(3 * N, 1e-310))
    with pytest.raises(DataError, match="not finite"), np.errstate(all="ignore"):
        merge([two_tasks[0], dataclasses.replace(two_tasks[1], white=white)], robot, SETTINGS)
    many = dataclasses.replace(two_tasks[1], shape=dataclasses.replace(two_tasks[1].shape, tasks=1000))
    with pytest.raises(DataError, match="1001 tasks together"):
        merge([two_tasks[0], many], robot, SETTINGS)
    with pytest.raises(DataError, match="in 33 regions together"):
        merge(two_tasks[:1] * 33, robot, SETTINGS)
    several = dataclasses.replace(two_tasks[1], shape=dataclasses.replace(two_tasks[1].shape, tasks=2))
    with pytest.raises(DataError, match="differ in 'tasks'"):
        merge([two_tasks[0], several], robot, SETTINGS, same_task=True)


def written(folder, policies, distillation):
    """The files of policies, and the command that merges them with some settings of the student."""
    robot_file = folder / "arm.yaml"
    parameters = {"robot": {"description": planar_arm(N)}, "distillation": distillation}
    robot_file.write_text(yaml.safe_dump({"mpc_node": {"ros__parameters": parameters}}))
    files = [folder / f"{name}.policy" for name, _ in zip("abc", policies, strict=False)]
    for policy, file in zip(policies, files, strict=True):
        policy.save(file)
    return files, ["policy", "merge", *map(str, files), "--robot", str(robot_file)]


@pytest.mark.slow
def test_the_command_fails_for_a_student_that_is_unlike_its_teachers(tmp_path, two_tasks, capsys):
    _, words = written(tmp_path, two_tasks, {"goal_units": 1, "gain_units": 1, "iterations": 1})
    assert main([*words, "--output", str(tmp_path / "out.policy")]) == 1
    assert "FAIL: task" in capsys.readouterr().out


def test_the_distance_of_a_student_is_that_of_its_commands(robot, two_tasks):
    inertia = PointMassInertia(robot)
    for student, expected in (
        (two_tasks[0], 0.0),
        (dataclasses.replace(two_tasks[0], mu=0 * MU, rotor_inertia=0 * MU), 1.0),
    ):
        (found,) = distances(student, [two_tasks[0]], inertia, same_task=True, count=100, seed=0)
        assert found == pytest.approx(expected, abs=1e-9)


def test_the_command_writes_the_student_and_says_which_task_is_whose(monkeypatch, tmp_path, two_tasks, capsys):
    # a student of two unlike teachers takes minutes; of two equal ones few states and iterations make a good one
    few = functools.partial(merge, samples=600, restarts=0)
    monkeypatch.setattr("mbrl_ros.distillation.merge.merge", few)
    files, words = written(tmp_path, 2 * two_tasks[:1], {"iterations": 60})
    out = tmp_path / "out.policy"
    assert main([*words, "--output", str(out), "--json", str(tmp_path / "facts.json")]) == 0
    printed = capsys.readouterr().out
    assert f"{files[1]}: distillation.task 1" in printed and f"wrote {out}" in printed
    assert load(out).shape.tasks == json.loads((tmp_path / "facts.json").read_text())["tasks"] == 2
    assert main([*words, "--same-task", "--output", str(out)]) == 0 and load(out).shape.tasks == 1
    assert main([*words[:3], *words[4:], "--output", str(out)]) != 0
    assert "at least two policies" in capsys.readouterr().err
    assert main(["policy", "info", *map(str, files)]) != 0
    assert "takes one policy file" in capsys.readouterr().err
    assert main(["policy", "evaluate", str(files[0]), "--task", "1"]) != 0
    assert "the policy knows tasks 0 to 0, not 1" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_exported_c_scores_states_and_targets_by_the_task(robot, two_tasks, tmp_path):
    student = merge([two_tasks[0], moved(two_tasks[1], 20.0, 20.0)], robot, SETTINGS, samples=200, restarts=0)[0]
    source, library = tmp_path / "policy.c", tmp_path / "policy.so"
    source.write_text(to_c(student, robot, 200.0))
    subprocess.run(["cc", "-std=c99", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source, "-lm"], check=True)
    c, acting, rng = ctypes.CDLL(str(library)), CompiledPolicy(student, robot), np.random.default_rng(4)
    c.mbrl_policy_step.restype = ctypes.c_double
    state, scores, u, zero = ctypes.create_string_buffer(1 << 14), np.zeros(2), np.zeros(N), np.zeros(N)
    for task in (0, 1, 2, -1):
        q, qd, target = (rng.uniform(-1.0, 20.0, k) for k in (N, N, 3))
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (q, qd, zero, u)]
        c.mbrl_policy_reset(state)
        c.mbrl_policy_set_target(state, ctypes.c_void_p(target.ctypes.data), task, ctypes.c_void_p(scores.ctypes.data))
        score = c.mbrl_policy_step(state, *pointers)
        if task in (0, 1):
            acting.set_target(target, task)
            np.testing.assert_allclose(u, acting.act(q, qd, zero, zero), atol=1e-9)
            expected = [acting.scores[name] for name in ("state", "target", "spread")]
            assert [score, *scores] == pytest.approx(expected)
        else:  # which it does not know
            assert min(score, *scores) > 1.0
