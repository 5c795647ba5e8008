"""`python .ci/sessions.py NAME ...`: the tests in sessions, one after the other; at the end what was skipped and why.

Without more these are the quick tests, all but those marked `slow`; `--slow` runs those, `--all` both.

Unit tests run in as many processes as there are cores (pytest-xdist), each file in one of them. Tests over DDS start
processes of their own and mostly wait for them, so that one more of them runs at a time; those marked `realtime`
measure by the wall clock and run after the others, one at a time. So do the tests of launch files.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SESSIONS = ("unit", "integration", "launch")  # folders of test/
PASSES = {"integration": ("not realtime", "realtime")}  # marks; of other sessions: one pass, ANY
ANY = ""
SERIAL = (("launch", ANY), ("integration", "realtime"))  # passes that run one test at a time
WAITING = (("integration", "not realtime"),)  # passes whose tests leave a core free while they wait
CHOICES = {"--quick": "not slow", "--slow": "slow", "--all": ANY}  # option: marks
PROCESSES = 8  # at most
NO_TESTS = 5  # pytest's exit code


@dataclass
class Result:
    """What one session did."""

    name: str
    code: int
    seconds: float  # of wall time
    cpu: float  # [s] of processor time, processes that it started included
    counts: Counter = field(default_factory=Counter)
    skips: Counter = field(default_factory=Counter)  # {reason: tests}


def cores() -> int:
    """Processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def processes(name: str, chosen: str = ANY) -> int:
    """Test processes of a session's pass: more than one with pytest-xdist, where tests may run side by side."""
    if (name, chosen) in SERIAL or importlib.util.find_spec("xdist") is None:
        return 1
    return min(cores() + ((name, chosen) in WAITING), PROCESSES)


def run(name: str, launcher: list[str], options: list[str], choice: str = "--all") -> Result:
    """Run one session's tests of a choice, pass after pass; the output appears as it comes."""
    result, codes = Result(name, 0, 0.0, 0.0), []
    begin, before = time.monotonic(), os.times()
    for chosen in PASSES.get(name, (ANY,)):
        marks = " and ".join(marks for marks in (chosen, CHOICES[choice]) if marks)
        selection = ["-m", marks] if marks else []
        codes.append(run_pass(name, chosen, launcher, [*selection, *options], result))
    after = os.times()
    result.seconds = time.monotonic() - begin
    result.cpu = after.children_user + after.children_system - before.children_user - before.children_system
    # with options that choose tests, one of two passes may have none
    result.code = max((code for code in codes if code != NO_TESTS), default=NO_TESTS)
    return result


def has_slow_tests(name: str) -> bool:
    """Whether a test of the session is marked slow: a session in which nothing runs would be an error."""
    return any("pytest.mark.slow" in file.read_text(encoding="utf-8") for file in ROOT.glob(f"test/{name}/**/*.py"))


def run_pass(name: str, chosen: str, launcher: list[str], options: list[str], result: Result) -> int:
    """Run the tests of a session's pass that the options choose, count them in `result`; return pytest's exit code."""
    count = processes(name, chosen)
    parallel = ["-n", str(count), "--dist", "loadfile"] if count > 1 else []
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [*launcher, "-m", "pytest", f"test/{name}", *parallel, f"--junitxml={report}", *options]
        which = f" ({chosen})" if chosen else ""
        print(f"\n== {name} tests{which}: {count} process{'es' if count > 1 else ''}", flush=True)
        code = subprocess.run(command, cwd=ROOT).returncode
        if report.is_file():
            read(report, result)
    return code


def read(report: Path, result: Result) -> None:
    """Count a result file's tests by outcome, and its skipped ones by reason."""
    for case in ElementTree.parse(report).iter("testcase"):
        children = {child.tag: child for child in case}
        if "skipped" in children and children["skipped"].get("type") != "pytest.xfail":
            result.counts["skipped"] += 1
            result.skips[children["skipped"].get("message", "no reason given")] += 1
        else:
            result.counts["failed" if children.keys() & {"failure", "error"} else "passed"] += 1


def summary(results: list[Result]) -> str:
    """Tell each session in a line, then each reason of a skip."""
    lines = []
    for result in results:
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(result.counts.items()))
        state = "ok" if result.code == 0 else f"FAILED (exit code {result.code})"
        lines.append(f"{result.name:12} {state}: {told}; {result.seconds:.0f} s, {result.cpu:.0f} s of CPU time")
    skips = sum((result.skips for result in results), Counter())
    lines += [f"Skipped: {skips.total() or 'nothing'}"]
    lines += [f"{count:6}  {reason}" for reason, count in skips.most_common()]
    return "\n".join(lines)


def main(arguments: list[str], launcher: list[str] | None = None) -> int:
    """Run the sessions named, all where none is; options of pytest follow them. 0 when every session passed."""
    names = [name for name in arguments if name in SESSIONS] or list(SESSIONS)
    choice = next((argument for argument in arguments if argument in CHOICES), "--quick")
    names = [name for name in names if choice != "--slow" or has_slow_tests(name)]
    options = [argument for argument in arguments if argument not in (*SESSIONS, *CHOICES)]
    results = [run(name, launcher or [sys.executable], options, choice) for name in names]
    print(f"\n== summary\n{summary(results)}", flush=True)
    return int(any(result.code for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
