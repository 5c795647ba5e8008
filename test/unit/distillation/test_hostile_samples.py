"""Samples and policies from anywhere: checked for sizes and plausibility before anything is allocated for them."""

import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest

from mbrl_ros.config.sections.distillation import DistillationSettings
from mbrl_ros.distillation import policy as policies
from mbrl_ros.distillation import storage
from mbrl_ros.distillation.dataset import MOST_SOURCES, Memory, Supervision
from mbrl_ros.distillation.fit import fit
from mbrl_ros.distillation.trainer import Trainer
from mbrl_ros.exceptions import DataError
from mbrl_ros.messages.supervision import MOST_VALUES, VERSION, read
from support.robots import planar_robot
from support.teaching import SETTINGS, taught_samples
from support.teaching import N as ARM

N = 2


def message(**changed):
    """A sample as a message, with some fields replaced; None leaves one out."""
    fields = dict(sequence=[1], stamp=[1.0], epoch=[0], task=[0], target=[0.1, 0.2])
    fields |= {name: [0.1] * N for name in ("q", "qd", "a", "w", "u")} | {"P": [1.0, 0.0, 1.0]} | changed
    fields = {name: values for name, values in fields.items() if values is not None}
    labels = [(VERSION, 0), ("/robot", 0), ("joints", 0), *((name, len(values)) for name, values in fields.items())]
    data = np.concatenate([np.asarray(values, dtype=float) for values in fields.values()])
    return SimpleNamespace(
        layout=SimpleNamespace(dim=[SimpleNamespace(label=label, size=size) for label, size in labels]), data=data
    )


def test_a_whole_sample_is_read():
    sample, sequence = read(message())
    assert sequence == 1 and sample.P.tolist() == [[1.0, 0.0], [0.0, 1.0]] and sample.source == "/robot"


@pytest.mark.parametrize(
    "changed, match",
    [
        ({"q": np.zeros(8000), "qd": None, "a": None, "w": None, "u": None}, "8000 joints; there can be 1 to 64"),
        ({"q": [], "P": []}, "0 joints"),
        ({"P": np.zeros(4)}, "'P' must have 3 values, got 4"),
        ({"u": [1.0]}, "'u' must have 2 values, got 1"),
        ({"u": [1e308, 0.0]}, "'u' is not finite, or larger than 1e[+]06"),
        ({"q": [np.nan, 0.0]}, "'q' is not finite"),
        ({"P": [1e200, 0.0, 1.0]}, "'P' is not finite, or larger"),
        ({"stamp": [np.inf]}, "'stamp' is not finite"),
        ({"epoch": [1e300]}, "'epoch' is not finite, or larger"),
        ({"target": []}, "wrong size: 'target'"),
        ({"target": np.zeros(2000)}, "wrong size: 'target'"),
        ({"more": np.full(5, np.nan)}, "'more' is not finite"),
        ({"more": np.zeros(MOST_VALUES)}, "are no sample"),
        ({f"f{i}": [0.0] for i in range(40)}, "are no sample"),
        ({"x" * 300: [0.0]}, "more than 255 characters"),
    ],
)
def test_a_sample_that_no_robot_sends_is_refused_before_it_is_taken_apart(monkeypatch, changed, match):
    large = []
    zeros = np.zeros
    monkeypatch.setattr(np, "zeros", lambda shape, *rest: large.append(np.prod(shape)) or zeros(shape, *rest))
    with pytest.raises(DataError, match=match):
        read(message(**changed))
    assert max(large, default=0) <= MOST_VALUES  # what was asked for while reading


def test_a_field_that_occurs_twice_is_refused():
    sent = message()
    sent.layout.dim[-1].label = "q"
    with pytest.raises(DataError, match="'q' occurs twice"):
        read(sent)


def sample(k=0, **changed):
    values = dict(stamp=0.02 * k, kind="joints", target=np.array([0.1, 0.2]), task=0, epoch=0, source="/robot")
    values |= {name: np.full(N, 0.1 + 0.03 * k % 1.0) for name in ("q", "qd", "a", "w", "u")} | {"P": np.eye(N)}
    return Supervision(**(values | changed))


@pytest.mark.parametrize(
    "changed, reason",
    [
        ({"u": np.array([1e5, 0.0])}, "not plausible"),
        ({"w": np.array([0.0, -1e5])}, "not plausible"),
        ({"q": np.array([100.0, 0.0])}, "not plausible"),
        ({"qd": np.array([1e4, 0.0])}, "not plausible"),
        ({"P": np.diag([1.0, -0.5])}, "no precision"),
        ({"P": np.zeros((N, N))}, "no precision"),
        ({"u": np.zeros(3)}, "wrong size"),
        ({"task": 7}, "unknown task"),
    ],
)
def test_one_sample_beyond_the_robots_limits_spoils_no_fit(changed, reason):
    trainer = Trainer(planar_robot(N), DistillationSettings(kind="joints"))
    assert trainer.offer(sample(0))
    assert not trainer.offer(sample(1, **changed)) and trainer.memory.rejected[reason] == 1
    assert trainer.offer(sample(2)) and np.abs(trainer.memory.samples().u).max() < 10.0


@pytest.mark.parametrize("P", [np.zeros((N, N)), np.diag([1.0, -1.0]), np.array([[1.0, 1e9], [1e9, 1.0]])])
def test_teachers_whose_precisions_are_none_end_nothing(P):
    trainer = Trainer(planar_robot(N), DistillationSettings(kind="joints", teachers=2))
    for k in range(5):
        trainer.offer(sample(k, source="/a", P=P))
        trainer.offer(sample(k, source="/b", P=P))
    trainer.offer(sample(9, source="/a"))
    assert trainer.offer(sample(9, source="/b"))


def test_names_of_sources_and_numbers_of_targets_do_not_fill_the_memory():
    trainer = Trainer(planar_robot(N), DistillationSettings(kind="joints"))
    for k in range(3 * MOST_SOURCES):
        trainer.offer(sample(k, source=f"/robot{k}"), 5)
    assert trainer.memory.count == MOST_SOURCES and trainer.memory.rejected["too many sources"] == 2 * MOST_SOURCES
    assert len(trainer._sequences) == MOST_SOURCES


@pytest.mark.parametrize(
    "changed",
    [
        {"epochs": 10**12, "capacity": -1},
        {"capacity": 10**12},
        {"n": 10**9},
        {"n": "2"},
        {"epochs": True},
        {"offered": 1e300},
        {"window": 0.0},
        {"taught": "x"},
        {"random": {}},
    ],
)
def test_a_memory_with_absurd_numbers_is_refused(changed):
    memory = Memory(N, "joints", 2, capacity=100, window=0.04)
    memory.add(sample())
    meta, arrays = memory.state()
    assert Memory.restored(meta, arrays).count == 1
    assert Memory.restored({**meta, "epochs": 10**12}, arrays).count == 1  # a count takes no memory
    with pytest.raises(DataError):
        Memory.restored({**meta, **changed}, arrays)


@pytest.fixture(scope="module")
def content():
    """(meta, arrays) of a policy's file."""
    robot = planar_robot(ARM)
    return policies._taken_apart(fit(taught_samples(robot, 300), robot, "point", SETTINGS.replace(iterations=2))[0])


def changed_policy(content, meta=None, **arrays):
    meta = {**content[0], **(meta or {})}
    return storage.dumps("policy", meta, {**content[1], **arrays})


def test_the_policy_of_these_tests_can_be_read(content):
    assert policies.from_bytes(changed_policy(content)).version == policies.from_bytes(changed_policy(content)).version


@pytest.mark.parametrize("version", ["x", -1, 1.5, None, [1], True, 2**70])
def test_a_version_that_is_no_number_is_refused(content, version):
    with pytest.raises(DataError, match="'about.version' must be a whole number"):
        policies.from_bytes(changed_policy(content, {"about": {**content[0]["about"], "version": version}}))


@pytest.mark.parametrize("bounds", [[1.0, 1.0, 1e300], [1.0, 0.0, 1.0], [1.0, 1.0], "abc", None, [float("inf")] * 3])
def test_bounds_that_bound_nothing_are_refused(content, bounds):
    with pytest.raises(DataError):
        policies.from_bytes(changed_policy(content, {"bounds": bounds}))


def test_numbers_that_json_does_not_know_are_refused(content):
    whole = changed_policy(content, {"bounds": [1.25, 1.0, 1.0]})
    header, _, rest = whole.split(b"\n", 2)
    for word in (b"Infinity", b"NaN"):
        other = rest.replace(b"1.25", word)
        length = other.split(b"\n", 1)[0]
        other = other.replace(length, str(int(length) + len(word) - 4).encode(), 1)

        with pytest.raises(DataError, match=f"{word.decode()} is no number"):
            policies.from_bytes(b"\n".join([header, hashlib.sha256(other).hexdigest().encode(), other]))


@pytest.mark.parametrize(
    "name, value, match",
    [
        ("members", lambda a: np.zeros((17, a.shape[1])), "'members' holds 17, at most 16"),
        ("mu", lambda a: np.zeros(5000), "'mu' holds 5000"),
        ("targets.points", lambda a: np.zeros((20_000, a.shape[1])), "'targets.points' holds 20000"),
        ("theta", lambda a: np.full(a.shape, 1e20), "'theta' holds 1e[+]20"),
        ("theta", lambda a: np.full(a.shape, 1e100), "not finite, or larger"),
        ("shape.upper", lambda a: -a, "must be above"),
        ("white.deviation", lambda a: 0 * a, "must be positive"),
        ("precision", lambda a: a[:1], "has shape"),
        ("precision", lambda a: 0.0 * a, "'precision' has a negative eigenvalue, or none above 0"),
        ("precision", lambda a: np.diag([1.0, 1.0, -1.0]), "'precision' has a negative eigenvalue"),
        ("states.factor", lambda a: 0.0 * a, "'states.factor' is singular"),
        ("states.factor", lambda a: np.ones_like(a), "'states.factor' is singular"),
        ("targets.factor", lambda a: np.diag([1.0, 1e-20, 1.0]), "'targets.factor' is singular"),
        ("targets.points", lambda a: a[:0], "'targets.points' holds 0"),
    ],
)
def test_arrays_that_no_student_has_are_refused(content, name, value, match):
    with pytest.raises(DataError, match=match):
        policies.from_bytes(changed_policy(content, **{name: value(content[1][name])}))


PARTS = [[0, 1, 1.0, 1.0], [0, 1, 1.0, 1.0]]


@pytest.mark.parametrize(
    "parts, match",
    [
        ([], "0 parts"),
        (PARTS * 17, "34 parts, of 1 to 32"),
        ([[0, 2, 1.0, 1.0]], "part 0 is of the tasks 0 to 2, there are 1"),
        ([[0, 1, 1.0, 0.0]], "the taught region is empty"),
        ([[0, 1, 1.0]], "does not hold a policy"),
        ([[0, 1, 1.0, 1.0], None], "does not hold a policy"),
        (PARTS, "part1.states.mean"),
        (7, "does not hold a policy"),
    ],
)
def test_parts_that_no_policy_was_taught_in_are_refused(content, parts, match):
    with pytest.raises(DataError, match=match):
        policies.from_bytes(changed_policy(content, {"parts": parts}))


def test_parts_of_which_none_is_of_a_task_are_refused(content):
    part = {f"part1.{name}": array for name, array in content[1].items() if name.startswith(("states", "targets"))}
    assert len(policies.from_bytes(changed_policy(content, {"parts": PARTS}, **part)).taught) == 2
    shape = {**content[0]["shape"], "tasks": 2}
    theta = np.zeros(policies.from_bytes(changed_policy(content)).shape.goal_units * 2 + content[1]["theta"].size)
    size = content[1]["members"].shape[1] + 2 * shape["goal_units"]
    with pytest.raises(DataError, match="no part is of the task 1"):
        policies.from_bytes(
            changed_policy(content, {"shape": shape, "parts": PARTS}, **part, theta=theta, members=np.zeros((0, size)))
        )


def test_shapes_are_checked_before_anything_is_allocated(content):
    for key, value in (
        ("goal_units", 10**9),
        ("gain_units", True),
        ("nt", 0),
        ("tasks", "1"),
        ("joints", ["j"] * 1000),
    ):
        with pytest.raises(DataError):
            policies.from_bytes(changed_policy(content, {"shape": {**content[0]["shape"], key: value}}))
    header = json.dumps({"meta": {}, "arrays": {"x": [2**29, 2**29]}}).encode()
    rest = str(len(header)).encode() + b"\n" + header

    with pytest.raises(DataError, match="ends outside the file"):
        storage.loads(b"mbrl_ros policy 1\n" + hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest, "policy")


def test_files_that_are_larger_than_any_policy_or_none_are_refused(tmp_path):
    with pytest.raises(DataError, match="a device and no file"):
        policies.load("/dev/zero")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(policies.LARGEST_POLICY + 1)
    with pytest.raises(DataError, match="larger than 64 MiB"):
        policies.load(tmp_path / "large")
    with pytest.raises(DataError, match="larger than 64 MiB"):
        policies.from_bytes(bytes(policies.LARGEST_POLICY + 1))
