"""A discrete policy of the primitives as prior and default policy of the tree, and its file."""

import dataclasses

import numpy as np
import pytest

from mbrl_ros.cli.main import main
from mbrl_ros.codegen.compiler import find_compiler
from mbrl_ros.config.sections.planner import PlannerSettings
from mbrl_ros.distillation import storage
from mbrl_ros.distillation.choice import ChoicePolicy, load_choice, merge_choices
from mbrl_ros.distillation.soft_targets import Choice, fit_choice, soft_targets
from mbrl_ros.dynamics.priors.nonlinear_model import of_function
from mbrl_ros.exceptions import ConfigurationError, DataError
from mbrl_ros.planners.base import PlannerContext
from mbrl_ros.planners.mcts import MctsPlanner, Settings
from support.planner_problems import random_case
from support.tree_problems import hills

compiler = pytest.mark.skipif(find_compiler() is None, reason="no C++ compiler")
CASES = [(4, 2, 12, {}), (4, 2, 10, {"model": True, "change": True}), (6, 3, 10, {"nonlinear": True, "bound": 0.3})]


def built(case, backend="numpy", **settings):
    """The planner of a case with fixed steps, begun from its start."""
    nx, nu, anywhere = case.cost.nx, case.cost.nu, np.full(case.cost.nx, np.inf)
    limits = case.u_lower, case.u_upper, -anywhere, anywhere
    common = PlannerSettings(horizon=case.horizon, backend=backend)
    model = None if case.model is None else of_function(case.model)
    planner = MctsPlanner(
        Settings(**{"steps": "fixed", **settings}), PlannerContext(case.cost, common, nx, nu, *limits), model
    )
    planner.reset(case.x0, case.u_previous)
    return planner


def random_policy(features, options, seed=0, units=5, size=1.0):
    rng = np.random.default_rng(seed)
    K = len(options)
    W1, b1 = size * rng.standard_normal((units, features)), rng.standard_normal(units)
    choice = Choice(
        W1,
        b1,
        size * rng.standard_normal((K, units)),
        size * rng.standard_normal(K),
        np.zeros(features),
        np.ones(features),
    )
    return ChoicePolicy(choice, options, 1, rng.standard_normal((7, features)), {"seed": seed})


def saved(case, tmp_path, name="a.choice", **options):
    """A random policy for a case's default primitives, in a file."""
    features = case.cost.nx + 2 * case.cost.nu + case.cost.np
    random_policy(features, built(case).options, **options).save(tmp_path / name)
    return str(tmp_path / name)


@compiler
@pytest.mark.parametrize("settings", [{}, {"default": "policy"}, {"default": "policy", "length": 3, "answer": "best"}])
@pytest.mark.parametrize("nx, nu, horizon, options", CASES)
def test_the_compiled_search_with_a_policy_builds_the_tree_of_its_specification(
    nx, nu, horizon, options, settings, tmp_path
):
    case = random_case(nx, nx, nu, horizon, **options)
    file = saved(case, tmp_path)
    ours, specified = (
        built(case, backend, simulations=150, policy=file, policy_share=0.7, **settings)
        for backend in ("compiled", "numpy")
    )
    plan, expected = case.plan(ours, ticks=0), case.plan(specified, ticks=0)
    np.testing.assert_array_equal(ours.root.counts, specified.root.counts)
    assert plan.cost == pytest.approx(expected.cost, rel=1e-9)
    np.testing.assert_allclose(plan.u_hat, expected.u_hat, atol=1e-7)
    assert plan.cost == pytest.approx(case.rollout(plan.u_hat)[1], rel=1e-9)
    _, last = case.rollout(ours.U[np.minimum(np.arange(horizon) + 1, horizon - 1)].copy())
    assert case.plan(ours).cost <= last + 1e-9 * abs(last)  # the last plan is replayed as it was


def test_a_policy_that_prefers_nothing_changes_nothing(tmp_path):
    case = random_case(4, 6, 3, 10)
    file = saved(case, tmp_path, size=0.0)
    with_policy, without = built(case, simulations=100, policy=file), built(case, simulations=100)
    np.testing.assert_array_equal(case.plan(with_policy, ticks=0).u_hat, case.plan(without, ticks=0).u_hat)
    np.testing.assert_array_equal(with_policy.root.counts, without.root.counts)


def test_the_children_come_in_the_order_of_the_policy_and_their_weights_are_its_share(tmp_path):
    case = random_case(4, 6, 3, 10)
    planner = built(case, simulations=200, policy=saved(case, tmp_path), policy_share=0.6)
    case.plan(planner, ticks=0)
    policy, P = load_choice(tmp_path / "a.choice"), planner.root.counts.size
    z, _ = planner.example
    probability = soft_targets(policy.choice.logits(z[None]), 1.0)[0]
    children = planner.search.root.children
    np.testing.assert_array_equal([child.primitive for child in children], np.argsort(-probability, kind="stable"))
    weights = [child.weight for child in children]
    np.testing.assert_allclose(weights, 0.4 + 0.6 * P * probability[[child.primitive for child in children]])


@compiler
def test_soft_targets_of_a_long_search_make_a_short_one_find_more(tmp_path):
    """On a map of hills; starts that were not taught, costs above those of a long search."""
    case, rng = hills(11), np.random.default_rng(0)
    common = {"primitives": 10, "fixed": ("plan", "hold"), "default": "plan"}
    teacher, rows, visits = built(case, "compiled", simulations=600, **common), [], []

    def plan(planner, x, hand=None):
        planner.reset(x, np.zeros(2) if hand is None else hand)
        return case.plan(planner, x0=x, ticks=0)

    for _ in range(120):
        x = rng.uniform(-0.5, 0.5, 4)
        for _ in range(4):
            x = plan(teacher, x, rng.integers(2) * rng.uniform(-3.0, 3.0, 2)).x_hat[5].copy()
            z, counts = teacher.example
            rows.append(z), visits.append(counts)
    student = fit_choice(np.array(rows), np.log1p(visits), 3.0, units=32)
    file = tmp_path / "hills.choice"
    ChoicePolicy(student, teacher.options, 1, np.array(rows), {}).save(file)
    short = built(case, "compiled", simulations=50, **common)
    guided = built(case, "compiled", simulations=50, **{**common, "default": "policy"}, policy=str(file))
    starts = rng.uniform(-0.5, 0.5, (20, 4))
    without, found = (np.mean([plan(p, x).cost for x in starts]) for p in (short, guided))
    assert found < 0.9 * without, (found, without)


def test_fixed_steps_are_the_same_joints_up_and_down_in_every_segment_and_period():
    case = random_case(4, 6, 3, 10)
    planner = built(case, simulations=20, primitives=11)
    for _ in range(2):
        case.plan(planner, ticks=0)
        offsets = planner.tree.offsets[0, 3:]
        np.testing.assert_array_equal(offsets[0::2], -offsets[1::2])
        np.testing.assert_allclose(offsets[6], 0.25 * offsets[0])  # all joints had theirs: two octaves less
    assert planner.options == (
        "lqr",
        "plan",
        "hold",
        *(f"{sign} command {joint}, 2^-{r}" for joint, r in ((0, 1), (1, 1), (2, 1), (0, 3)) for sign in "+-"),
    )


def test_what_a_policy_needs_is_asked_for(tmp_path):
    with pytest.raises(ConfigurationError, match="planner.mcts.policy"):
        Settings(default="policy")
    with pytest.raises(ConfigurationError, match="must be 'fixed'"):
        Settings(policy="a.choice")
    case = random_case(4, 6, 3, 10)
    file = saved(case, tmp_path)
    with pytest.raises(ConfigurationError, match="chooses among 9 primitives"):
        built(case, policy=file, primitives=11)
    with pytest.raises(ConfigurationError, match="features"):
        built(random_case(4, 4, 3, 10), policy=file)
    with pytest.raises(DataError, match="tasks 0 to 0"):
        built(case, policy=file, policy_task=1)


def test_a_file_gives_back_what_was_saved_and_another_is_refused(tmp_path):
    policy, path = random_policy(4, ("a", "b", "c")), tmp_path / "a.choice"
    policy.save(path)
    found, x = load_choice(path), np.random.default_rng(1).standard_normal((9, 4))
    assert found.options == policy.options and found.about == {"seed": 0}
    np.testing.assert_array_equal(found.choice.logits(x), policy.choice.logits(x))
    meta, arrays = storage.load(path, "choice")
    for meta_, arrays_ in (
        ({**meta, "tasks": 2}, arrays),
        ({**meta, "tasks": -1}, arrays),
        ({**meta, "options": ["a"]}, arrays),
        (meta, {**arrays, "W2": arrays["W2"][:2]}),
        (meta, {**arrays, "deviation": np.zeros(4)}),
        (meta, {name: value for name, value in arrays.items() if name != "b1"}),
    ):
        storage.save(path, "choice", meta_, arrays_)
        with pytest.raises(DataError, match="does not hold a discrete policy"):
            load_choice(path)


def test_the_command_merges_discrete_policies(tmp_path, capsys):
    files = [str(tmp_path / f"{name}.choice") for name in "ab"]
    for seed, file in enumerate(files):
        random_policy(4, ("a", "b", "c"), seed).save(file)
    assert main(["policy", "merge", *files, "--output", str(tmp_path / "out.choice")]) == 0
    assert f"{files[1]}: planner.mcts.policy_task 1" in capsys.readouterr().out
    assert load_choice(tmp_path / "out.choice").tasks == 2
    assert main(["policy", "merge", *files, "--same-task", "--output", str(tmp_path / "out.choice")]) != 0
    assert "each a task of its own" in capsys.readouterr().err


def test_the_command_shows_a_discrete_policy_and_refuses_what_means_nothing_for_it(tmp_path, capsys):
    files = [str(tmp_path / f"{name}.choice") for name in "ab"]
    for seed, file in enumerate(files):
        random_policy(4, ("a", "b", "c"), seed).save(file)
    assert main(["policy", "info", files[0]]) == 0
    shown = capsys.readouterr().out
    assert "['a', 'b', 'c']" in shown and "seed" in shown
    out = ["--output", str(tmp_path / "out.choice")]
    for words, match in (
        (["evaluate", files[0]], "moves no robot"),
        (["merge", *files, "--robot", "panda", *out], "takes no robot"),
        (["merge", *files, "--seed", "-1", *out], "--seed: must be a whole number of at least 0"),
        (["merge", *files, "--task", "1", *out], "only evaluate takes a task"),
        (["info", files[0], "--robot", "panda"], "info takes no robot"),
    ):
        assert main(["policy", *words]) != 0
        assert match in capsys.readouterr().err
    assert not (tmp_path / "out.choice").exists()


def test_a_discrete_merge_that_is_unlike_its_teachers_fails(tmp_path, capsys, monkeypatch):
    files = [str(tmp_path / f"{name}.choice") for name in "ab"]
    for seed, file in enumerate(files):
        random_policy(4, ("a", "b", "c"), seed, size=5.0).save(file)
    monkeypatch.setattr(
        "mbrl_ros.distillation.choice.fit_choice", lambda x, *more, **rest: random_policy(6, "abc").choice
    )
    assert main(["policy", "merge", *files, "--output", str(tmp_path / "out.choice")]) == 1
    assert "FAIL: task" in capsys.readouterr().out


@pytest.mark.slow
def test_policies_of_two_tasks_become_one_that_the_task_tells_apart():
    """By the expected log likelihood, the cross entropy at T = 1: it is nearly that of the teachers themselves."""
    teachers = []
    for sign in (1.0, -1.0):
        x = np.random.default_rng(int(sign) + 5).uniform(-1.5, 1.5, (400, 2))
        choice = fit_choice(x, sign * np.column_stack([2.0 * x[:, 0], x[:, 1] + 0.5, -x[:, 0] * x[:, 1]]), 1.0)
        teachers.append(ChoicePolicy(choice, ("a", "b", "c"), 1, x, {}))
    student = merge_choices(teachers)
    unseen = np.random.default_rng(9).uniform(-1.4, 1.4, (500, 2))
    assert student.tasks == 2
    for task, teacher in enumerate(teachers):
        pi, log_pi = soft_targets(teacher.choice.logits(unseen), 1.0), student.of_task(task).logits(unseen)
        log_pi -= np.log(np.exp(log_pi).sum(axis=1, keepdims=True))
        divergence = (pi * (np.log(pi) - log_pi)).sum(axis=1).mean()
        assert divergence < 0.01
        assert (student.of_task(task).best(unseen) == teacher.choice.best(unseen)).mean() > 0.95
        whole = np.hstack([unseen, np.tile(np.eye(2)[task], (len(unseen), 1))])
        np.testing.assert_allclose(student.of_task(task).logits(unseen), student.choice.logits(whole), atol=1e-9)
    with pytest.raises(DataError, match="at least two"):
        merge_choices(teachers[:1])
    with pytest.raises(DataError, match="differ in their options"):
        merge_choices([teachers[0], dataclasses.replace(teachers[1], options=("a", "b", "d"))])
