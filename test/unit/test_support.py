"""What keeps the tests honest: no session without tests is green, and no two processes share a DDS domain."""

import os
import subprocess
import sys

import pytest

from support import ROOT
from support.domains import DOMAINS, HELD
from support.needs import needs, present

pytest_plugins = ["pytester"]

A_TEST = "def test_one():\n    pass\n"
SKIPS_ITSELF = "import pytest\npytest.importorskip('no_such_module')\n"


@pytest.fixture
def session(pytester, monkeypatch):
    """session(modules {name: text}, *arguments) -> (exit code, output) of pytest with the hooks of these tests."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "test"), str(ROOT)]))
    pytester.makeconftest("from support.collection import *")

    def run(modules, *arguments):
        pytester.makepyfile(**modules)
        done = pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)
        return done.ret, done.stdout.str()

    return run


def test_a_session_with_a_test_passes(session):
    assert session({"test_a": A_TEST})[0] == 0


@pytest.mark.parametrize("modules, arguments", [({"helper": A_TEST}, ()), ({"test_a": A_TEST}, ("-k", "another_name"))])
def test_a_session_without_tests_fails_and_its_result_file_says_so(session, pytester, modules, arguments):
    code, output = session(modules, *arguments, "--junitxml=result.xml")
    assert code not in (0, 5) and "No test was collected" in output
    assert 'errors="1"' in (pytester.path / "result.xml").read_text()


def test_a_module_that_skips_itself_while_it_is_imported_fails_the_session(session):
    code, output = session({"test_a": A_TEST, "test_b": SKIPS_ITSELF})
    assert code not in (0, 5) and "needs(...)" in output


def test_a_need_that_is_missing_is_the_reason_of_the_skip():
    assert present("pytest") and not present("no_such_module") and not present("data/no_such_recording.db3")
    mark = needs("pytest", "no_such_module", "data/no_such_recording.db3").mark
    assert mark.args == (True,)
    assert "no_such_module" in mark.kwargs["reason"] and "no_such_recording" in mark.kwargs["reason"]
    assert needs("pytest").mark.args == (False,)
    with pytest.raises(ValueError, match="no-module"):
        needs("no-module")


def test_two_processes_never_hold_the_same_domain():
    take = f"from support.domains import new_domain as n; print(*[n() for _ in range({HELD})], flush=True); input()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "test")}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", take],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    try:
        taken = [int(word) for process in started for word in process.stdout.readline().split()]
    finally:
        for process in started:
            process.communicate("\n")
    assert len(taken) == 3 * HELD == len(set(taken)) and set(taken) <= set(DOMAINS)
    assert int(os.environ["ROS_DOMAIN_ID"]) not in taken
