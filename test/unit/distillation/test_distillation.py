"""Student, inertia, memory, fit, imitation methods and storage, on synthetic teachers whose answers are known."""

import ctypes
import dataclasses
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from mbrl_ros.config.sections.distillation import DistillationSettings
from mbrl_ros.distillation import imitation, storage, student
from mbrl_ros.distillation.compiled_policy import CompiledPolicy
from mbrl_ros.distillation.dataset import Memory
from mbrl_ros.distillation.export import to_c
from mbrl_ros.distillation.fit import fit
from mbrl_ros.distillation.inertia import PointMassInertia
from mbrl_ros.distillation.loss import Batch, loss, loss_and_gradient
from mbrl_ros.distillation.policy import from_bytes, load
from mbrl_ros.distillation.problem import capped, make_shape
from mbrl_ros.distillation.region import Neighbors
from mbrl_ros.distillation.trainer import MEMORY_FILE, POLICY_FILE, Trainer
from mbrl_ros.distillation.window import Window
from mbrl_ros.exceptions import DataError
from support.finite_differences import derivative
from support.robots import planar_robot
from support.teaching import MU, ROTOR_INERTIA, SETTINGS, N, goal_of, sample, taught_samples


@pytest.fixture(scope="module")
def robot():
    return planar_robot(N)


@pytest.fixture(scope="module")
def taught(robot):
    return fit(taught_samples(robot), robot, "point", SETTINGS)


def test_the_gradient_is_that_of_finite_differences(robot):
    samples = taught_samples(robot, 40)
    shape = make_shape(robot, "point", 3, 1, SETTINGS)
    white = student.Whitening(np.zeros(3), np.ones(3), np.zeros(3 * N), np.ones(3 * N))
    s, M = samples, PointMassInertia(robot).inertia(samples.q, MU, ROTOR_INERTIA)
    data = Batch(q=s.q, qd=s.qd, a=s.a, w=s.w, target=s.target, task=s.task, u=s.u, P=s.P, M=M)
    rng = np.random.default_rng(1)
    theta = shape.initial(rng) + 0.2 * rng.standard_normal(shape.size)
    value, gradient = loss_and_gradient(shape, white, theta, data)
    assert loss(shape, white, theta, data) == value
    for name in shape.layout():  # each group of parameters by itself, so that none hides behind another
        direction = np.zeros(shape.size)
        shape.unpack(direction)[name][:] = rng.standard_normal(shape.layout()[name])
        slope = derivative(lambda h, d=direction: loss(shape, white, theta + h[0] * d, data), np.zeros(1))
        assert slope[0] == pytest.approx(gradient @ direction, rel=1e-5, abs=1e-8), name


def test_the_inertia_is_found_without_noise_and_errors_in_acceleration_only_make_them_smaller(robot):
    s, inertia_model = taught_samples(robot), PointMassInertia(robot)
    mu, rotor_inertia = inertia_model.identify(s.q, s.dq, s.da, s.dw, np.full(N, 20.0))
    true = inertia_model.inertia(s.q[:20], MU, ROTOR_INERTIA)
    assert inertia_model.inertia(s.q[:20], mu, rotor_inertia) == pytest.approx(true, rel=1e-3, abs=1e-3)
    noisy = s.da + 0.5 * np.random.default_rng(2).standard_normal(s.da.shape)
    smaller = inertia_model.inertia(s.q[:20], *inertia_model.identify(s.q, s.dq, noisy, s.dw, np.full(N, 20.0)))
    # da has variance 1, its error 0.25: least squares shrinks by about 1 / 1.25, and never to nothing
    values = np.linalg.eigvals(np.linalg.solve(true, smaller)).real
    assert 0.5 < values.min() and values.max() < 1.1


@pytest.mark.slow
def test_the_fit_learns_the_teacher_and_repeats_itself_bit_for_bit(robot, taught):
    policy, report = taught
    assert report.held_out < 0.1 * report.history[0, 1]
    again, _ = fit(taught_samples(robot), robot, "point", SETTINGS)
    assert np.array_equal(policy.theta, again.theta) and np.array_equal(policy.members, again.members)
    warm, later = fit(taught_samples(robot, seed=3), robot, "point", SETTINGS, previous=policy)
    assert later.history[0, 1] < 0.3 * report.history[0, 1]
    assert warm.white is policy.white  # frozen


def test_weights_are_capped_at_twice_their_median():
    P = np.array([1.0, 1.0, 3.0, 100.0, 2.0])[:, None, None] * np.eye(2)
    weights, median = capped(P)
    assert median == 4.0  # traces 2, 2, 6, 200, 4
    assert np.trace(weights, axis1=1, axis2=2) == pytest.approx([0.5, 0.5, 1.5, 2.0, 1.0])


def test_the_command_is_inside_its_limits_whatever_comes_in(robot, taught):
    acting = CompiledPolicy(taught[0], robot)
    rng = np.random.default_rng(4)
    for scale in (1.0, 1e3, 1e9):
        acting.set_target(scale * rng.standard_normal(3))
        u = acting.act(*(scale * rng.standard_normal((4, N))))
        assert np.isfinite(u).all() and (u >= robot.command_lower).all() and (u <= robot.command_upper).all()


def test_compiled_code_and_numpy_agree(robot, taught):
    policy, rng = taught[0], np.random.default_rng(5)
    acting, p = CompiledPolicy(policy, robot), taught[0].shape.unpack(taught[0].theta)
    for _ in range(10):
        target, q, qd, a, w = np.array([0.3, 0.0, -0.4]) + 0.1 * rng.standard_normal(3), *rng.standard_normal((4, N))
        g = acting.set_target(target)
        y, _ = student.acceleration(policy.shape, policy.white, p, q[None], qd[None], g[None])
        M = SETTINGS.inertia_scale * PointMassInertia(robot).inertia(q[None], policy.mu, policy.rotor_inertia)[0]
        expected = w + M @ (y[0] - a)
        assert (np.abs(expected) < student.KNEE * policy.shape.upper).all()  # nothing saturates here
        assert acting.act(q, qd, a, w) == pytest.approx(expected, abs=1e-10)
        assert acting.scores["state"] == pytest.approx(policy.taught[0].states.score(np.r_[q, qd][None])[0])
        assert acting.scores["target"] == pytest.approx(policy.taught[0].targets.score(target))


def test_at_rest_at_the_goal_the_student_keeps_the_command_it_finds(robot, taught):
    """The only equilibrium is the goal, and there w, whatever it is, stays: no model of gravity is needed."""
    acting, still = CompiledPolicy(taught[0], robot), np.zeros(N)
    g = acting.set_target(np.array([0.5, 0.0, 0.2]))
    w = np.array([3.0, -2.0, 1.0])
    assert acting.act(g, still, still, w) == pytest.approx(w, abs=1e-12)


@pytest.mark.parametrize("sign", (1.0, -1.0))
def test_a_command_beyond_the_knee_approaches_the_limit_it_points_to(robot, taught, sign):
    """At rest at the goal u = box(w): w itself within 95 % of the range, beyond that towards the same limit."""
    acting, still, limit = CompiledPolicy(taught[0], robot), np.zeros(N), robot.command_upper
    g = acting.set_target(np.array([0.5, 0.0, 0.2]))
    for share in (0.3, 0.9, 0.95):
        u = acting.act(g, still, still, sign * share * limit)
        assert u == pytest.approx(sign * share * limit, rel=1e-9)
    # 3 times the limit: (3 - 0.95) / 0.05 = 41 beyond the knee, of which 41 / sqrt(1 + 41^2) of the last 5 % remain
    u = acting.act(g, still, still, sign * 3.0 * limit)
    assert u == pytest.approx(sign * (0.95 + 0.05 * 41.0 / np.sqrt(1.0 + 41.0**2)) * limit, rel=1e-9)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_exported_c_gives_the_same_commands(robot, taught, tmp_path):
    rate, rng = 200.0, np.random.default_rng(6)
    source = tmp_path / "policy.c"
    source.write_text(to_c(taught[0], robot, rate))
    for word in ("joint1", "[N m (or N)]", "Window:  8 periods"):
        assert word in source.read_text()
    subprocess.run(
        [
            "cc",
            "-std=c99",
            "-Wall",
            "-Werror=implicit-function-declaration",
            "-O1",
            "-shared",
            "-fPIC",
            "-o",
            str(tmp_path / "policy.so"),
            str(source),
            "-lm",
        ],
        check=True,
    )
    library = ctypes.CDLL(str(tmp_path / "policy.so"))
    library.mbrl_policy_step.restype = ctypes.c_double
    state, scores, target = ctypes.create_string_buffer(1 << 14), np.zeros(2), np.array([0.4, 0.0, 0.3])

    def pointer(array):
        return ctypes.c_void_p(array.ctypes.data)

    library.mbrl_policy_reset(state)
    library.mbrl_policy_set_target(state, pointer(target), 0, pointer(scores))
    acting, window, u, last = (
        CompiledPolicy(taught[0], robot),
        Window(N, 1.0 / rate, SETTINGS.window),
        np.zeros(N),
        np.zeros(N),
    )
    acting.set_target(target)
    for k in range(30):
        q, qd = 0.3 * rng.standard_normal(N), rng.standard_normal(N)
        expected = acting.act(q, qd, *window.update(k / rate, qd, last)).copy()
        score = library.mbrl_policy_step(state, pointer(q), pointer(qd), pointer(last), pointer(u))
        assert u == pytest.approx(expected, abs=1e-9) and score == pytest.approx(acting.scores["state"])
        last = expected


def test_the_window_averages_over_its_own_length_and_starts_anew_after_a_gap():
    window, dt = Window(1, 0.01, 0.03), 0.01
    for k in range(6):
        a, w = window.update(k * dt, np.array([0.1 * k**2]), np.array([float(k)]))
    # velocities 0.1 k^2 at k = 2 and 5: (2.5 - 0.4) / 0.03; commands of the last three periods: 3, 4, 5
    assert a == pytest.approx([70.0]) and w == pytest.approx([4.0])
    a, w = window.update(1.0, np.array([9.0]), np.array([7.0]))
    assert a == pytest.approx([0.0]) and w == pytest.approx([7.0])


def test_the_memory_stays_bounded_mixed_and_without_repetition():
    memory = Memory(N, "point", 3, capacity=50, window=0.04, seed=0)
    for k in range(1000):
        memory.add(sample(0.005 * k, q=0.001 * k))
    # novelty 0.02 rad and 0.001 rad a sample: every 20th or 21st is new
    assert 45 <= memory.offered <= 50 and memory.rejected["nothing new"] == 1000 - memory.offered
    for k in range(1000, 20000):
        memory.add(sample(0.005 * k, q=0.03 * k))
    q = memory.samples().q[:, 0]
    assert memory.count == 50 and len(q) == 50
    # a reservoir is uniform over the stream, whose middle is near 300: standard error 600 / sqrt(12 * 50) = 24
    assert 200 < np.median(q) < 400
    change = memory.samples()
    assert np.allclose(change.dq[:, 0], 0.03 * 8, atol=0.06) and np.allclose(change.dw, change.dq)


def test_the_memory_counts_what_it_cannot_use():
    memory = Memory(N, "point", 3, capacity=50, window=0.04)
    assert memory.add(sample(0.0))
    for bad, reason in (
        (sample(0.1, kind="joints"), "another kind of target"),
        (sample(0.1, q=np.nan), "not finite"),
        (sample(0.1, task=3), "unknown task"),
        (sample(0.1, P=np.zeros((N, N))), "no precision"),
        (sample(0.1, u=np.zeros(2)), "wrong size"),
        (sample(-0.01), "repeated or out of order"),
    ):
        assert not memory.add(bad) and memory.rejected[reason] == 1, reason
    assert memory.count == 1


def test_every_method_follows_its_formula():
    u, mu, Q, P = np.array([1.0, 0.0]), np.array([0.0, 0.0]), np.diag([2.0, 1.0]), np.diag([1.0, 1.0])
    # (2 + lambda) u_l = 2 * 1: for lambda = 2 half way
    assert imitation.kl_regularized(u, Q, mu, P, 2.0) == pytest.approx([0.5, 0.0])
    weight = imitation.kl_weight(u, Q, mu, P, 0.02)  # 1/2 r^2 = 0.02: r = 0.2 = 2 / (2 + lambda), lambda = 8
    assert weight == pytest.approx(8.0, rel=1e-6)
    assert imitation.kl_weight(0.1 * u, Q, mu, P, 0.02) == 0.0
    assert imitation.disagreement(u, mu, Q, np.array([1.0, 1.0])) == pytest.approx(np.sqrt(2.0 / 3.0))
    for method, acts, learns in (("clone", 1.0, 1.0), ("dagger", 0.25, 1.0), ("plato", 0.5, 1.0), ("gps", 0.5, 0.5)):
        settings = DistillationSettings(
            method=method, kl_weight=2.0, alpha_start=0.25, alpha_end=0.25, safe_disagreement=9.0
        )
        imitating = imitation.Imitation(
            settings, 2, np.ones(2), dt=0.3
        )  # dt = RETURN: the student is back after one tick
        step = imitating.step(u, u, Q, mu, P, np.zeros(4), version=1)
        assert step.act == pytest.approx([acts, 0.0]) and step.label == pytest.approx([learns, 0.0]), method


def test_the_student_is_taken_off_when_it_is_far_from_the_teacher():
    settings = DistillationSettings(method="dagger", alpha_start=0.0, alpha_end=0.0, safe_disagreement=0.1)
    imitating = imitation.Imitation(settings, 1, np.ones(1), dt=0.01)
    for mu, expected in ((0.0, 1.0), (0.95, 1.0 - 0.05 / 30)):  # dt / RETURN = 1 / 30 of the way back in the first tick
        act = imitating.step(np.ones(1), np.ones(1), np.eye(1), np.array([mu]), np.eye(1), np.zeros(2), 1).act
        assert act == pytest.approx([expected])


def test_the_student_waits_while_the_teachers_reference_moves():
    Q, u, mu = np.eye(2), np.array([1.0, 0.0]), np.array([0.9, 0.1])
    imitating = imitation.Imitation(DistillationSettings(method="dagger", alpha_start=0.0), 2, np.ones(2), 0.1)
    for resting in (True,) * 50 + (False,) + (True,) * 50:
        step = imitating.step(u, u, Q, mu, Q, np.zeros(4), 1, resting=resting)
        if not resting:
            assert np.array_equal(step.act, u)
    assert step.act == pytest.approx(mu, abs=1e-3)


def test_the_local_gaussian_recovers_a_linear_student():
    local, rng = imitation.LocalGaussian(2, 1), np.random.default_rng(7)
    K = np.array([[1.0, -2.0]])
    for _ in range(300):
        x = rng.standard_normal(2)
        u = local.predict(x, K @ x + 0.5)
    assert u == pytest.approx(K @ x + 0.5, abs=1e-3)


def test_unknown_targets_lie_far_from_the_taught_ones():
    points = np.random.default_rng(8).uniform(0.0, 1.0, (100, 3))
    near = Neighbors.of(points, 1.3, 256, np.random.default_rng(0))
    assert max(near.score(p) for p in points) == 0.0 and near.score(np.array([0.5, 0.5, 0.5])) < 1.0
    assert near.score(np.array([3.0, 0.5, 0.5])) > 1.0


def test_a_policy_survives_its_file_and_refuses_another_robot(robot, taught, tmp_path):
    path = tmp_path / "a.policy"
    taught[0].save(path)
    again = load(path)
    for field in ("theta", "mu", "rotor_inertia", "members"):
        assert np.array_equal(getattr(again, field), getattr(taught[0], field))
    assert again.about == taught[0].about and again.shape.joints == robot.joints
    with pytest.raises(DataError, match="another robot"):
        again.check(planar_robot(N, length=0.4))


def test_damaged_foreign_and_hostile_files_are_refused_with_a_reason(taught, tmp_path):
    content = taught[0].to_bytes()
    for at in range(0, len(content), max(1, len(content) // 60)):
        changed = bytearray(content)
        changed[at] ^= 0x40
        with pytest.raises(DataError):
            from_bytes(bytes(changed))
        with pytest.raises(DataError):
            from_bytes(content[:at])
    cases = {
        b"": "not a policy",
        b"\x80\x04K\x01.": "not a policy",
        b"mbrl_ros memory 1\nx\n3\n{}": "holds a memory",
        b"mbrl_ros policy 9\nx\n3\n{}": "format version 9",
    }
    for hostile, reason in cases.items():
        with pytest.raises(DataError, match=reason):
            from_bytes(hostile)
    # right checksums, wrong contents: sizes beyond the file, values that are not finite, fields that are missing
    huge = storage.dumps("policy", {}, {"theta": np.zeros(2)}).replace(b"[2]", b"[9]")
    with pytest.raises(DataError, match="checksum"):
        from_bytes(huge)
    with pytest.raises(DataError, match="not finite"):
        from_bytes(storage.dumps("policy", {}, {"theta": np.array([np.nan])}))
    with pytest.raises(DataError, match="does not hold a policy"):
        from_bytes(storage.dumps("policy", {"shape": {"joints": []}}, {}))
    meta, arrays = storage.loads(content, "policy")
    with pytest.raises(DataError, match="theta"):
        from_bytes(storage.dumps("policy", meta, {**arrays, "theta": np.zeros(3)}))
    with pytest.raises(DataError, match="goal_units"):
        from_bytes(storage.dumps("policy", {**meta, "shape": {**meta["shape"], "goal_units": 10**9}}, arrays))
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path / "none.policy")


def test_a_learner_resumes_from_its_checkpoint_and_moves_broken_files_aside(robot, tmp_path):
    def stream(trainer, begin, end):
        rng = np.random.default_rng(9)
        for k in range(begin, end):
            trainer.offer(
                sample(
                    0.005 * k,
                    target=(0.5 * np.sin(k // 20), 0.0, 0.1),
                    epoch=k // 20,
                    **{name: rng.standard_normal(N) for name in ("q", "qd", "a", "w", "u")},
                ),
                k,
            )

    trainer = Trainer(robot, SETTINGS, tmp_path)
    stream(trainer, 0, 300)
    assert trainer.learn() is None  # fewer than 400 are new
    stream(trainer, 310, 500)
    assert trainer.learn().iterations > 0 and trainer.version == 1 and trainer.lost["a"] == 10
    trainer.checkpoint()
    resumed = Trainer(robot, SETTINGS, tmp_path)
    assert resumed.version == 1 and resumed.memory.count == trainer.memory.count
    assert np.array_equal(resumed.policy.theta, trainer.policy.theta)
    stream(resumed, 500, 1000)
    stream(trainer, 500, 1000)
    assert np.array_equal(
        resumed.memory.samples().q, trainer.memory.samples().q
    )  # the reservoir goes on as it would have
    (tmp_path / POLICY_FILE).write_bytes(b"rubbish")
    (tmp_path / MEMORY_FILE).write_bytes((tmp_path / MEMORY_FILE).read_bytes()[:-5])
    broken = Trainer(robot, SETTINGS, tmp_path)
    assert broken.version == 0 and broken.memory is None and len(broken.refused) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{POLICY_FILE}.refused", f"{MEMORY_FILE}.refused"]


WRITER = """
import sys, numpy as np
from mbrl_ros.distillation import storage
k = 0
while True:
    k += 1
    storage.save(sys.argv[1], "memory", {"k": k}, {"rows": np.full((200, 200), float(k))})
    if k == 1: print("ready", flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path):
    path, rng = tmp_path / "x.memory", np.random.default_rng(10)
    for _ in range(8):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        assert writer.stdout.readline() == b"ready\n"
        try:
            writer.wait(timeout=rng.uniform(0.0, 0.05))
        except subprocess.TimeoutExpired:
            os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        meta, arrays = storage.load(path, "memory")
        assert (arrays["rows"] == meta["k"]).all()


def test_tasks_share_a_student(robot):
    """Two tasks with opposite goals for the same targets: only the task's number tells them apart."""
    s = taught_samples(robot)
    task = np.arange(len(s)) % 2
    other = taught_samples(robot)
    M = PointMassInertia(robot).inertia(other.q, MU, ROTOR_INERTIA)
    y = 7.0 * student.shorten(8.0 * (1.2 * student.shorten(3.0 * (-goal_of(s.target) - s.q) / 1.2) - s.qd) / 7.0)
    u = np.where(task[:, None] == 1, s.w + SETTINGS.inertia_scale * np.einsum("nij,nj->ni", M, y - s.a), s.u)
    both, report = fit(
        dataclasses.replace(s, u=u, task=task), robot, "point", SETTINGS.replace(iterations=120), tasks=2
    )
    assert report.held_out < 0.15 * report.history[0, 1]
    p = both.shape.unpack(both.theta)
    g = [student.goal(both.shape, both.white, p, s.target[:20], np.full(20, k))[0] for k in (0, 1)]
    assert np.abs(g[0] - goal_of(s.target[:20])).mean() < 0.2 and np.abs(g[1] + goal_of(s.target[:20])).mean() < 0.2
