"""Functions that were built elsewhere: what they compute, and what is refused."""

import dataclasses
import json
import zipfile

import numpy as np
import pytest

from mbrl_ros.codegen import compiler, units
from mbrl_ros.codegen.numeric import CompiledFunction, InterpretedFunction, describe
from mbrl_ros.codegen.processor import NATIVE
from mbrl_ros.codegen.symbolic import casadi
from mbrl_ros.exceptions import ConfigurationError, DataError, ShapeError
from mbrl_ros.robots.kinematics import Kinematics
from mbrl_ros.robots.pose_kinematics import PoseKinematics
from support.robots import lifted_arm, planar_arm, planar_robot

needs_compiler = pytest.mark.skipif(compiler.find_compiler() is None, reason="no C++ compiler")


@pytest.fixture(autouse=True)
def no_library_from_elsewhere(monkeypatch):
    """What one test provides is not another's."""
    monkeypatch.setattr(compiler, "_provided", {})


def polynomial():
    """(x (2,), y (3,)) -> x_0 y (3, 1), [x y^T; y^T] (3, 3)."""
    x, y = casadi.SX.sym("x", 2), casadi.SX.sym("y", 3)
    return casadi.Function("polynomial", [x, y], [x[0] * y, casadi.vertcat(x @ y.T, y.T)])


@needs_compiler
def test_compiled_and_interpreted_are_the_same_function():
    rng = np.random.default_rng(1)
    interpreted = InterpretedFunction(polynomial())
    compiled = CompiledFunction(json.loads(json.dumps(describe(interpreted))))
    X, Y = rng.normal(size=(5, 2)), rng.normal(size=(5, 3))
    for function in (interpreted, compiled):
        first, second = function(X[0], Y[0])
        np.testing.assert_allclose(first, X[0, 0] * Y[0, :, None], rtol=1e-15)
        np.testing.assert_allclose(second, np.vstack([np.outer(X[0], Y[0]), Y[0]]), rtol=1e-15)
        many = function.many(X, Y)
        assert [value.shape for value in many] == [(5, 3, 1), (5, 3, 3)]
        for t in range(5):
            np.testing.assert_allclose(many[1][t], np.vstack([np.outer(X[t], Y[t]), Y[t]]), rtol=1e-15)
        x, shared, found = np.array(X), np.array(Y[0]), [np.zeros((5, 1, 3)), np.zeros((5, 3, 3))]
        evaluate = function.fixed((x, shared), found)
        x += 1.0
        evaluate()
        np.testing.assert_allclose(found[0][:, 0], (X[:, :1] + 1.0) * Y[0], rtol=1e-15)


def written(folder, robot=None, instruction_set=NATIVE):
    """Record kinematics, and write them with the libraries of an instruction set."""
    robot = robot or planar_robot(3)
    recorded = units.RecordedUnits()
    with compiler.noted_requests() as requests:
        PoseKinematics(dataclasses.replace(robot, units=recorded))
        descriptions = [entry["value"] for entry in recorded.entries.values()]
        for description in descriptions:
            CompiledFunction(description)
    libraries = {key: compiler.build_for(request, folder, instruction_set) for key, request in requests.items()}
    path = folder / "arm.units"
    recorded.write(path, libraries, instruction_set)
    return path


@needs_compiler
def test_kinematics_without_casadi_and_compiler(tmp_path, monkeypatch):
    robot = planar_robot(3)
    q, target = np.array([0.3, -0.4, 0.5]), np.array([0.7, 0.0, 0.4])
    stored = dataclasses.replace(robot, units=units.read(str(written(tmp_path, robot))))
    monkeypatch.setattr(compiler, "find_compiler", lambda: None)
    monkeypatch.setattr(casadi, "Function", None, raising=False)
    found = PoseKinematics(stored)
    monkeypatch.undo()
    expected = PoseKinematics(robot)
    np.testing.assert_allclose(found.position(q), expected.position(q), atol=1e-14)
    np.testing.assert_allclose(found.jacobian(q), expected.jacobian(q), atol=1e-14)
    np.testing.assert_allclose(found.velocity_map(q)[2], expected.velocity_map(q)[2], atol=1e-14)
    np.testing.assert_allclose(found.inverse(target, q)[0], expected.inverse(target, q)[0], atol=1e-9)


@needs_compiler
def test_joints_that_are_not_controlled_stand_where_they_are_measured(tmp_path):
    from mbrl_ros.config.sections.robot import RobotSettings
    from mbrl_ros.robots import load_robot

    robot = load_robot(RobotSettings(joints=("joint1", "joint2", "joint3"), tip="hand"), lifted_arm())
    path = written(tmp_path, robot)
    found, expected = (Kinematics(r) for r in (dataclasses.replace(robot, units=units.read(str(path))), robot))
    Q = np.random.default_rng(2).normal(size=(4, 3))
    for kinematics in (found, expected):
        kinematics.place(np.linspace(0.1, 0.3, len(robot.uncontrolled)))
    np.testing.assert_allclose(found.positions(Q), expected.positions(Q), atol=1e-14)
    assert abs(found.positions(Q)[0, 2] - Kinematics(robot).positions(Q)[0, 2]) > 0.05


@needs_compiler
def test_another_robot_is_refused_and_the_difference_is_named(tmp_path):
    path = str(written(tmp_path, instruction_set=NATIVE))
    other = dataclasses.replace(planar_robot(3), tip_offset=np.array([0.1, 0.0, 0.0]), units=units.read(path))
    with pytest.raises(ConfigurationError, match=r"robot.tip_offset is \[0.1, 0.0, 0.0\] here, \[0.0"):
        Kinematics(other)
    with pytest.raises(ConfigurationError, match="robot.urdf is"):
        Kinematics(dataclasses.replace(planar_robot(3, mass=2.0), units=units.read(path)))


def test_how_links_look_does_not_matter():
    from mbrl_ros.robots.document import digest

    plain = planar_arm(2)
    looks = plain.replace('<link name="link1">', '<link name="link1"><visual><geometry/></visual>')
    assert digest(plain) == digest(f"<!-- an arm -->{looks}") != digest(planar_arm(2, mass=2.0))


def rewritten(path, change):
    """Write the file again with its index changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    index = json.loads(members[units.INDEX])
    change(index)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, units.INDEX: json.dumps(index)}.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda index: index.update(writers="0" * 64), "other sources than those of this installation"),
        (lambda index: index.update(format=99), "build them again"),
        (lambda index: index.pop("entries"), "cannot read the units"),
        (lambda index: index.update(entries=[]), "cannot read the units"),
        (lambda index: index.update(entries={"a": 1}), "cannot read the units"),
        (lambda index: index.update(libraries=[]), "cannot read the units"),
    ],
)
def test_a_file_of_another_version_is_refused(tmp_path, change, says):
    path = tmp_path / "some.units"
    units.RecordedUnits().write(path, {}, NATIVE)
    rewritten(path, change)
    with pytest.raises(DataError, match=says):
        units.read(str(path))


@needs_compiler
def test_a_damaged_library_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = written(tmp_path)
    rewritten(path, lambda index: index["libraries"].update(dict.fromkeys(index["libraries"], "0" * 64)))
    with pytest.raises(DataError, match="damaged"):
        units.read(str(path))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"robot: {}"])
def test_what_is_no_such_file_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "no.units"
    path.write_bytes(content)
    with pytest.raises(DataError, match="Write them with `mbrl build`"):
        units.read(str(path))
    with pytest.raises(DataError, match="cannot read the units"):
        units.read(str(tmp_path / "absent.units"))


@needs_compiler
def test_libraries_of_another_machine_are_left_to_the_compiler(tmp_path, monkeypatch):
    path = written(tmp_path)
    rewritten(path, lambda index: index.update(machine="riscv64"))
    units.read(str(path))
    assert compiler._provided == {}
    rewritten(path, lambda index: index.update(instruction_set="x86-64-v4"))
    monkeypatch.setattr(units, "missing_instructions", lambda name: ["avx512f"])
    units.read(str(path))
    assert compiler._provided == {}


def test_a_file_that_was_written_again_is_read_again(tmp_path):
    path, recorded = tmp_path / "some.units", units.RecordedUnits()
    recorded.write(path, {}, NATIVE)
    before = units.read(str(path))
    assert units.read(str(path)) is before
    recorded.kept("number", {"of": 1}, lambda: 2, int, int)
    recorded.write(path, {}, NATIVE)
    assert units.read(str(path)).kept("number", {"of": 1}, lambda: 0, int, int) == 2


def test_an_entry_that_cannot_be_used_is_an_error_of_the_file():
    wrong = {units._key("number", {}): {"role": "number", "inputs": {}, "value": {}}}
    with pytest.raises(DataError, match="its 'number' cannot be used"):
        units.StoredUnits("some.units", wrong).kept("number", {}, lambda: 0, int, int)


@needs_compiler
def test_memory_of_another_size_is_refused():
    compiled = CompiledFunction(describe(InterpretedFunction(polynomial())))
    with pytest.raises(ShapeError):
        compiled.many(np.zeros((5, 2)), np.zeros((4, 3)))
    with pytest.raises(ShapeError):
        compiled.fixed((np.zeros(2), np.zeros(3)), (np.zeros((1, 3)), np.zeros((2, 3))))
    with pytest.raises(TypeError, match="contiguous"):
        compiled.fixed((np.zeros(4)[::2], np.zeros(3)), (np.zeros((1, 3)), np.zeros((3, 3))))
