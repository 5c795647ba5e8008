"""`make matrix` runs every step until one fails, says what could not run and why, and has an exit code by result."""

import subprocess
import sys

import pytest

from mbrl_ros.console.progress import Progress
from support import scripts


@pytest.fixture
def matrix(monkeypatch):
    """.ci/matrix.py, which takes this interpreter for Python 3.11 and 3.12 and copies nothing."""
    module = scripts.load(".ci/matrix.py", monkeypatch)
    known = {"3.11": sys.executable, "3.12": sys.executable}
    monkeypatch.setattr(module, "find", known.get)
    monkeypatch.setattr(module, "copy_source", lambda folder: None)
    return module


def test_a_step_that_fails_ends_its_row_only(matrix, monkeypatch, tmp_path, capsys):
    def commands(step, python, folder):
        broken = step == "import" and folder.name == "3.12"
        return [["/bin/sh", "-c", f"echo about to {step}; exit {3 * broken}"]]

    monkeypatch.setattr(matrix, "commands", commands)
    monkeypatch.setattr(matrix, "ELSEWHERE", {"the container": "no-such-program", "a shell": "sh"})
    monkeypatch.setattr(matrix.tempfile, "tempdir", str(tmp_path))
    assert matrix.main(["3.10", "3.11", "3.12"]) == 1
    table = capsys.readouterr().out
    head, missing, good, bad, *_ = table.splitlines()
    assert head.split("  ")[0] == "Python" and all(step in head for step in matrix.STEPS)
    assert missing.count("not run") == len(matrix.STEPS) and good.count("ok") == len(matrix.STEPS)
    assert bad.count("ok") == 3 and bad.count("FAILED") == 1 and bad.count("not run") == 2
    assert "Python 3.12, import: exit code 3:\nabout to import" in table
    assert "Python 3.10: there is no Python 3.10 with venv" in table
    assert "the container: `no-such-program` is not here" in table and "a shell: this script does not run it" in table
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("versions, code", [(["3.11"], 0), (["3.10"], 2), (["3.10", "3.11"], 0)])
def test_the_exit_code_is_that_of_what_ran(matrix, monkeypatch, tmp_path, capsys, versions, code):
    monkeypatch.setattr(matrix, "commands", lambda *_: [])
    monkeypatch.setattr(matrix.tempfile, "tempdir", str(tmp_path))
    assert matrix.main(versions) == code


def test_a_step_that_cannot_start_or_does_not_end_has_failed(matrix, monkeypatch, tmp_path):
    monkeypatch.setattr(matrix, "LIMIT", 0.2)
    for line, reason in (
        (["/no/such/python"], "FileNotFoundError"),
        (["/bin/sh", "-c", "exec sleep 60"], "TimeoutExpired"),
    ):
        monkeypatch.setattr(matrix, "commands", lambda *_, line=line: [line])
        with Progress("matrix", quiet=True) as shown:
            outcomes = matrix.run_version("3.11", tmp_path / reason, shown)
        assert outcomes["environment"].state == "FAILED" and reason in outcomes["environment"].reason
        assert outcomes["build"].reason == "'environment' failed"


def test_an_interpreter_must_start_and_be_of_the_version(monkeypatch, tmp_path):
    module = scripts.load(".ci/matrix.py", monkeypatch)
    version = "{}.{}".format(*sys.version_info)
    for number in ("2", "10"):
        (tmp_path / "versions" / f"{version}.{number}" / "bin").mkdir(parents=True)
    newest, older = (tmp_path / "versions" / f"{version}.{number}" / "bin" / "python" for number in ("10", "2"))
    newest.write_text("#!/bin/sh\nexit 127\n")  # as a shim whose version is not there
    newest.chmod(0o755)
    older.symlink_to(sys.executable)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    assert list(module.interpreters(version)) == [newest, older]
    assert module.find(version) == older and module.find("3.9") is None


def test_what_is_copied_is_what_git_knows(monkeypatch, tmp_path):
    module = scripts.load(".ci/matrix.py", monkeypatch)
    tree = tmp_path / "tree"
    (tree / "build").mkdir(parents=True)
    for name, text in ((".gitignore", "build/\n"), ("new.py", ""), ("known.py", ""), ("build/made.py", "")):
        (tree / name).write_text(text)
    subprocess.run(["git", "init", "--quiet"], cwd=tree, check=True)
    subprocess.run(["git", "add", "known.py"], cwd=tree, check=True)
    monkeypatch.setattr(module, "ROOT", tree)
    module.copy_source(tmp_path / "copy")
    assert {path.name for path in (tmp_path / "copy").rglob("*")} == {".gitignore", "new.py", "known.py"}
