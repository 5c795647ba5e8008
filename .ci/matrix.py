"""`make matrix`: build, install and try the package with every supported Python that is here, each by itself.

    python .ci/matrix.py [VERSION ...]

For each Python, in a folder outside the tree that is removed at the end: an environment, the sdist and the wheel, the
wheel installed with the core's dependencies alone, an import of the core, `mbrl --help`, and tests of the core as the
sdist ships them, against the installed wheel. A table ends the output, with what could not run here and why. Exit code:
0 all that ran passed, 1 something failed, 2 nothing could run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from mbrl_ros.console.progress import Progress  # noqa: E402  # the package need not be installed for it

VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")  # 3.14: the core alone, where ROS 2 has it
STEPS = ("environment", "build", "install", "import", "mbrl --help", "tests of the core")
# Quick tests of the core that need no extra but pytest.
TESTS = ("test/unit/test_types.py", "test/unit/references/test_segments.py")
# What else the package is meant to run with: {what: the command that must be there}.
ELSEWHERE = {
    "ROS 2 Jazzy, Kilted, Lyrical from packages": "ros2",
    "RoboStack's environments (pixi.toml)": "pixi",
    "the container (.devcontainer/Dockerfile)": "docker",
}
LIMIT = 1800.0  # [s] for one step
SHOWN_LINES = 15  # of the output of a step that failed


@dataclass
class Outcome:
    """What came of one step: "ok", "FAILED" or "not run", with the time [s] that it took, or the reason."""

    state: str
    seconds: float = 0.0
    reason: str = ""

    def __str__(self) -> str:
        """Return the cell of the table."""
        return self.state if self.state == "not run" else f"{self.state} {self.seconds:.0f} s"


def interpreters(version: str) -> Iterator[Path]:
    """Yield where Python `version` may be: pyenv's versions, the newest first, then the path."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = [path for path in pyenv.glob(f"{version}.*") if path.name.rpartition(".")[2].isdigit()]
    for path in sorted(found, key=lambda path: int(path.name.rpartition(".")[2]), reverse=True):
        yield path / "bin" / "python"
    on_path = shutil.which(f"python{version}")
    if on_path:
        yield Path(on_path)


def find(version: str) -> Path | None:
    """Return an interpreter of `version` that starts and has venv, None if there is none."""
    for path in interpreters(version):
        say = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
        try:
            answer = subprocess.run([path, "-c", say], capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if answer.returncode == 0 and answer.stdout.strip() == version:
            return path
    return None


def copy_source(folder: Path) -> None:
    """Copy the files of the checkout that git knows or would add to `folder`, so that no build touches the tree."""
    line = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(line, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an sdist; return the folder that is in it, without the package: tests are to find the installed one."""
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(folder, filter="data")
        else:  # before 3.10.12; the archive was built a moment ago
            tar.extractall(folder)
    (top,) = folder.iterdir()
    shutil.rmtree(top / "mbrl_ros")
    return top


def commands(step: str, python: Path, folder: Path) -> list[list[str]]:
    """Return the command lines of a step; `folder` is that of this Python."""
    own = str(folder / "env" / "bin" / "python")
    if step == "environment":
        return [
            [str(python), "-m", "venv", str(folder / "env")],
            [own, "-m", "pip", "install", "--no-compile", "build"],
        ]
    if step == "build":
        return [[own, "-m", "build", "--outdir", str(folder / "dist"), str(folder / "source")]]
    if step == "install":
        wheel = next((folder / "dist").glob("*.whl"))
        return [[own, "-m", "pip", "install", "--no-compile", str(wheel), "pytest>=7"]]
    if step == "import":
        return [[own, "-c", "import mbrl_ros.controllers, mbrl_ros.planners.ilqr; print(mbrl_ros.__file__)"]]
    if step == "mbrl --help":
        return [[str(folder / "env" / "bin" / "mbrl"), "--help"]]
    top = unpack(next((folder / "dist").glob("*.tar.gz")), folder / "sdist")
    return [
        [own, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(top), *(str(top / x) for x in TESTS)]
    ]


def run(step: str, python: Path, folder: Path) -> Outcome:
    """Run one step in `folder`, its output to a file there."""
    begin = time.monotonic()
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    log = folder / f"{step.replace(' ', '_')}.log"
    reason = ""
    try:
        for line in commands(step, python, folder):
            with log.open("a") as output:
                code = subprocess.run(
                    line, cwd=work, env=kept, stdout=output, stderr=subprocess.STDOUT, timeout=LIMIT
                ).returncode
            if code:
                shown = "\n".join(log.read_text(errors="replace").splitlines()[-SHOWN_LINES:])
                reason = f"exit code {code}:\n{shown}"
                break
    except (OSError, StopIteration, ValueError, subprocess.TimeoutExpired, tarfile.TarError) as error:
        reason = f"{type(error).__name__}: {error}"
    return Outcome("FAILED" if reason else "ok", time.monotonic() - begin, reason)


def run_version(version: str, folder: Path, shown: Progress) -> dict[str, Outcome]:
    """Run all steps with one Python, as far as the first that fails."""
    shown.show(f"Python {version}: looking for it")
    python = find(version)
    if python is None:
        return dict.fromkeys(STEPS, Outcome("not run", reason=f"there is no Python {version} with venv"))
    folder.mkdir(parents=True)
    copy_source(folder / "source")
    outcomes: dict[str, Outcome] = {}
    for step in STEPS:
        failed = next((name for name, outcome in outcomes.items() if outcome.state != "ok"), None)
        if failed is not None:
            outcomes[step] = Outcome("not run", reason=f"'{failed}' failed")
            continue
        shown.show(f"Python {version}: {step}")
        outcomes[step] = run(step, python, folder)
    return outcomes


def table(results: Mapping[str, Mapping[str, Outcome]], missing: Mapping[str, str]) -> str:
    """Write what ran with each Python, what failed, and what could not run and why.

    Parameters
    ----------
    results : {version: {step: outcome}}
    missing : {what else the package is meant to run with: why it did not}
    """
    rows = [("Python", *STEPS), *((version, *map(str, found.values())) for version, found in results.items())]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for version, found in results.items():
        lines += [f"\nPython {version}, {x}: {y.reason}" for x, y in found.items() if y.state == "FAILED"]
    reasons = [f"Python {v}: {f[STEPS[0]].reason}" for v, f in results.items() if f[STEPS[0]].state == "not run"]
    reasons += [f"{what}: {why}" for what, why in missing.items()]
    if reasons:
        lines += ["\nnot run:", *(f"  {reason}" for reason in reasons)]
    return "\n".join(lines)


def exit_code(results: Mapping[str, Mapping[str, Outcome]]) -> int:
    """Return 1 where a step failed, 2 where none ran, else 0."""
    states = {outcome.state for found in results.values() for outcome in found.values()}
    return 1 if "FAILED" in states else 0 if "ok" in states else 2


def main(arguments: Sequence[str]) -> int:
    """Run the matrix; return the exit code."""
    parser = argparse.ArgumentParser(description="try the package with every supported Python that is here")
    parser.add_argument("versions", nargs="*", default=VERSIONS, metavar="VERSION", help="as 3.12; default: all")
    versions = parser.parse_args(arguments).versions
    results: dict[str, dict[str, Outcome]] = {}
    with tempfile.TemporaryDirectory(prefix="mbrl_matrix_") as work, Progress("matrix") as shown:
        for version in versions:
            results[version] = run_version(version, Path(work, version), shown)
            shutil.rmtree(Path(work, version), ignore_errors=True)
    why = {
        what: f"`{program}` is not here" if shutil.which(program) is None else "this script does not run it"
        for what, program in ELSEWHERE.items()
    }
    print(table(results, why))
    return exit_code(results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
