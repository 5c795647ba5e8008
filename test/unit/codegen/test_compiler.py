"""Compiled code is made once, kept, and never missed when it cannot be had."""

import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mbrl_ros.codegen import compiler, library_folder
from mbrl_ros.config.sections.planner import PlannerSettings
from mbrl_ros.exceptions import CompileError, ConfigurationError
from support.planner_problems import random_case

SOURCE = {
    "answer.cpp": '#include "number.h"\nextern "C" int answer() { return NUMBER; }',
    "number.h": "#define NUMBER 42",
}
needs_compiler = pytest.mark.skipif(compiler.find_compiler() is None, reason="no C++ compiler")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """A cache and a fallback directory of this test's own, and no memory of what was logged."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(compiler.tempfile, "gettempdir", lambda: str(tmp_path / "elsewhere"))
    monkeypatch.setattr(compiler, "_logged", set())
    return tmp_path / "cache" / "mbrl_ros"


@pytest.fixture
def compilations(monkeypatch):
    """The commands with which the compiler was run."""
    seen, run = [], compiler._run_compiler
    monkeypatch.setattr(compiler, "_run_compiler", lambda command, folder: seen.append(command) or run(command, folder))
    return seen


def count(commands):
    return sum("-o" in command for command in commands)


@needs_compiler
def test_second_start_compiles_nothing(own_cache, compilations):
    assert compiler.load_library("answer", SOURCE).answer() == 42
    assert count(compilations) == 1
    assert compiler.load_library("answer", SOURCE).answer() == 42
    assert count(compilations) == 1
    assert compiler.load_library("answer", {**SOURCE, "number.h": "#define NUMBER 7"}).answer() == 7
    assert count(compilations) == 2
    assert sorted(path.suffix for path in own_cache.iterdir()) == [".sha256", ".sha256", ".so", ".so"]


@needs_compiler
@pytest.mark.parametrize(
    "damage",
    [
        lambda so: so.write_bytes(b"not a library"),
        lambda so: so.write_bytes(so.read_bytes()[:200]),
        lambda so: so.with_suffix(".sha256").write_bytes(b"\xff\xfe"),
        lambda so: so.with_suffix(".sha256").unlink(),
    ],
)
def test_a_damaged_cache_is_made_anew(own_cache, compilations, damage):
    # in another process, so that no loaded copy of the library answers in place of the file
    script = (
        "import sys; from mbrl_ros.codegen import compiler; "
        f"sys.exit(compiler.load_library('answer', {SOURCE!r}).answer())"
    )
    run = [sys.executable, "-c", script]
    assert subprocess.run(run).returncode == 42
    (so,) = own_cache.glob("*.so")
    damage(so)
    assert subprocess.run(run).returncode == 42
    assert so.stat().st_size > 1000


@needs_compiler
def test_several_processes_may_compile_the_same(own_cache):
    script = (
        "import sys; from mbrl_ros.codegen import compiler; "
        f"sys.exit(compiler.load_library('answer', {SOURCE!r}).answer())"
    )
    started = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(4)]
    assert [process.wait(timeout=120) for process in started] == [42] * 4
    assert not list(own_cache.glob("build-*"))


def broken_compiler(path: Path) -> str:
    path.write_text("#!/bin/sh\necho 'internal compiler error: out of luck' >&2\nexit 1\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("failure", ["none", "broken", "full disk", "hangs"])
def test_without_compiled_code_it_logs_so_once_and_plans_all_the_same(tmp_path, monkeypatch, caplog, failure):
    expected = {"none": "no C++ compiler", "broken": "out of luck", "full disk": "No space left", "hangs": "timed out"}[
        failure
    ]
    monkeypatch.setenv("CXX", broken_compiler(tmp_path / "c++"))
    if failure == "none":
        monkeypatch.setattr(compiler, "find_compiler", lambda: None)
    if failure == "full disk":

        def full(*_, **__):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(compiler.Path, "write_text", full)
    if failure == "hangs":
        (tmp_path / "c++").write_text("#!/bin/sh\nexec sleep 600\n")
        monkeypatch.setattr(compiler, "COMPILER_TIMEOUT", 0.2)
        monkeypatch.setattr(compiler, "_compiler_version", lambda path: "")
    case = random_case(0, 3, 1, 5)
    with caplog.at_level(logging.INFO, logger="mbrl_ros"):
        plans = [case.plan(case.planner("auto")) for _ in range(2)]
        assert case.planner("auto").backend == "casadi"
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1 and expected in warnings[0]
    assert all(plan.usable for plan in plans)
    with pytest.raises(CompileError, match="auto"):
        case.planner("compiled")


@needs_compiler
def test_an_unwritable_cache_falls_back_to_the_temporary_directory(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file where a directory should be")
    assert compiler.load_library("answer", SOURCE).answer() == 42
    assert list((tmp_path / "elsewhere").glob("*/answer-*.so"))


@needs_compiler
def test_code_others_could_have_written_is_not_loaded(own_cache, tmp_path, compilations):
    compiler.load_library("answer", SOURCE)
    own_cache.chmod(0o777)
    compiler.load_library("answer", SOURCE)
    assert count(compilations) == 2  # the second time into the other directory
    assert list((tmp_path / "elsewhere").glob("*/answer-*.so"))


def test_a_cost_that_is_not_smooth_is_refused():
    import casadi
    import numpy as np

    from mbrl_ros.costs import CostModel
    from mbrl_ros.costs.base import StateCostSettings, Term
    from mbrl_ros.planners.ilqr.ilqr import IlqrPlanner

    x, u, v = casadi.SX.sym("x", 2), casadi.SX.sym("u"), casadi.SX.sym("v")
    cost = CostModel(x, u, v, [("rough", Term(casadi.fmax(x, 0), StateCostSettings()))])
    with pytest.raises(ConfigurationError, match="fmax.*twice differentiable"):
        IlqrPlanner(cost, PlannerSettings(), 2, 1, -np.ones(1), np.ones(1))


def test_cache_directory_follows_xdg(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert library_folder.cache_directory() == Path("/somewhere/mbrl_ros")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert library_folder.cache_directory() == Path("/home/someone/.cache/mbrl_ros")


def test_a_compiler_that_takes_too_long_is_given_up_once_with_what_it_started(tmp_path, monkeypatch, compilations):
    script, child = tmp_path / "slow", tmp_path / "child"
    script.write_text(f"#!/bin/sh\n[ $1 = --version ] && exit\nsleep 60 &\necho $! > {child}\nwait\n")
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    monkeypatch.setattr(compiler, "COMPILER_TIMEOUT", 5.0)
    assert compiler.load_library("answer", SOURCE) is None
    assert count(compilations) == 1
    state = Path("/proc", child.read_text().strip(), "status")
    for _ in range(50):  # until it is gone, or waits for its parent to learn that it is
        if not state.exists() or "Z (zombie)" in state.read_text():
            break
        time.sleep(0.1)
    else:
        raise AssertionError("what the compiler started goes on")
