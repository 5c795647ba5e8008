"""The scripts behind `make test` and `make coverage` count and judge what they are given."""

import os
import subprocess
import sys

import pytest

from support import ROOT, scripts


@pytest.fixture
def script(monkeypatch):
    """script(name) -> the module .ci/NAME.py"""
    return lambda name: scripts.load(f".ci/{name}.py", monkeypatch)


def test_the_summary_counts_every_outcome_and_gives_every_reason_once(script, tmp_path):
    sessions = script("sessions")
    (tmp_path / "test_a.py").write_text(
        "import pytest\n"
        "def test_passes(): pass\n"
        "def test_fails(): assert False\n"
        "@pytest.mark.parametrize('i', range(2))\n"
        "def test_lacks(i): pytest.skip('needs a robot')\n"
        "@pytest.mark.xfail\n"
        "def test_expected(): assert False\n"
        "@pytest.fixture\n"
        "def broken(): raise OSError\n"
        "def test_broken(broken): pass\n"
    )
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=report.xml", "--rootdir=."]
    assert subprocess.run(line, cwd=tmp_path, capture_output=True).returncode == 1
    result = sessions.Result("unit", 1, 2.0, 3.0)
    sessions.read(tmp_path / "report.xml", result)
    assert result.counts == {"passed": 2, "failed": 2, "skipped": 2}
    text = sessions.summary([result])
    assert "FAILED (exit code 1): 2 failed, 2 passed, 2 skipped; 2 s" in text and text.count("needs a robot") == 1


def test_tests_run_side_by_side_but_for_launch_files_and_those_by_the_wall_clock(script, monkeypatch):
    sessions = script("sessions")
    monkeypatch.setattr(sessions, "cores", lambda: 4)
    monkeypatch.setattr(sessions.importlib.util, "find_spec", lambda name: name)

    def counts():
        return {
            (name, chosen): sessions.processes(name, chosen)
            for name in sessions.SESSIONS
            for chosen in sessions.PASSES.get(name, (sessions.ANY,))
        }

    assert counts() == {
        ("unit", ""): 4,
        ("integration", "not realtime"): 5,
        ("integration", "realtime"): 1,
        ("launch", ""): 1,
    }
    monkeypatch.setattr(sessions.importlib.util, "find_spec", lambda name: None)
    assert set(counts().values()) == {1}


def write_tests(folder, root):
    """Write tests a, b and c, of which the last two are realtime and the last fails."""
    (root / "pytest.ini").write_text("[pytest]\nmarkers =\n  realtime\n  slow\naddopts = -q -p no:cacheprovider\n")
    (root / "conftest.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'test')!r})\n"
        "from support.collection import pytest_collection_modifyitems  # noqa: F401\n"
    )
    (folder / "test_a.py").write_text(
        "import pytest\n"
        "def test_a(): pass\n"
        "@pytest.mark.realtime\n"
        "def test_b(): pass\n"
        "@pytest.mark.realtime\n"
        "def test_c(): assert False\n"
    )


@pytest.mark.parametrize(
    "choice, counts", [("--quick", {"passed": 4}), ("--slow", {"failed": 3}), ("--all", {"passed": 4, "failed": 3})]
)
def test_quick_tests_are_those_that_are_not_slow_and_the_first_cases_of_some_that_are(
    choice, counts, script, monkeypatch, tmp_path
):
    sessions = script("sessions")
    for name in sessions.SESSIONS:
        (tmp_path / "test" / name).mkdir(parents=True)
        (tmp_path / "test" / name / f"test_{name}.py").write_text("def test_it(): pass\n")
    write_tests(tmp_path, tmp_path)
    (tmp_path / "test" / "unit" / "test_slow.py").write_text(
        "import pytest\n"
        "@pytest.mark.slow\n"
        "def test_whole(): assert False\n"
        "@pytest.mark.slow(but=1)\n"
        "@pytest.mark.parametrize('i', range(3))\n"
        "def test_cases(i): assert i == 0\n"
    )
    monkeypatch.setattr(sessions, "ROOT", tmp_path)
    monkeypatch.setattr(sessions, "cores", lambda: 1)
    found = []
    monkeypatch.setattr(sessions, "summary", lambda results: found.extend(results) or "")
    assert sessions.main([choice]) == int("failed" in counts)
    assert dict(sum((result.counts for result in found), sessions.Counter())) == counts
    assert [result.name for result in found] == (["unit"] if choice == "--slow" else list(sessions.SESSIONS))
    assert all(result.code == 0 for result in found[1:])


@pytest.mark.slow
def test_a_session_counts_the_tests_of_its_passes_and_fails_where_one_fails(script, monkeypatch, tmp_path):
    sessions = script("sessions")
    folder = tmp_path / "test" / "integration"
    folder.mkdir(parents=True)
    write_tests(folder, tmp_path)
    monkeypatch.setattr(sessions, "ROOT", tmp_path)
    monkeypatch.setattr(sessions, "cores", lambda: 1)
    found = [
        sessions.run("integration", [sys.executable], ["-k", words]) for words in ("test", "test_a and not c", "d")
    ]
    assert [result.code for result in found] == [1, 0, sessions.NO_TESTS]
    assert [dict(result.counts) for result in found] == [{"passed": 2, "failed": 1}, {"passed": 2}, {}]


def test_coverage_is_summed_by_room_and_over_the_core(script):
    cover = script("cover")
    files = {
        f"mbrl_ros{os.sep}{name}": {"summary": {"num_statements": lines, "covered_lines": run}}
        for name, lines, run in (
            ("types.py", 10, 10),
            (f"costs{os.sep}effort.py", 30, 27),
            (f"nodes{os.sep}mpc_node.py", 20, 10),
        )
    }
    text, reached = cover.table({"files": files})
    assert reached == {"core": pytest.approx(92.5), "nodes": pytest.approx(50.0)}
    assert [line.split() for line in text if line.startswith("costs")] == [["costs", "30", "3", "90.0", "%"]]
    assert text[-1].split() == ["in", "all", "60", "13", "78.3", "%"]
