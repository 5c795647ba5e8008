"""`make coverage`: the tests once more, counting the lines they run, in the processes they start too; a table by room.

Lines of the core rooms and of the nodes are what is judged: below LEAST the exit code is 1. Counting makes the nodes
several times slower, so a test that fails here is named and no more; `make test` is the judge of tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import sessions

ROOT = sessions.ROOT
CORE = (
    "types.py",
    "exceptions.py",
    "config",
    "safety",
    "references",
    "costs",
    "dynamics",
    "planners",
    "controllers",
    "runtime",
    "messages",
)
LEAST = {"core": 95.0, "nodes": 85.0}  # [%]


def table(report: dict) -> tuple[list[str], dict[str, float]]:
    """Lines of text, a room each, and the share [%] of lines that were run in the core and in the nodes."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])  # {room: [lines, lines that were run]}
    for name, file in report["files"].items():
        room = Path(name).relative_to("mbrl_ros").parts[0]
        groups = [room] + ["core"] * (room in CORE) + ["in all"]
        for group in groups:
            counts[group][0] += file["summary"]["num_statements"]
            counts[group][1] += file["summary"]["covered_lines"]
    share = {room: 100.0 * run / max(1, lines) for room, (lines, run) in counts.items()}
    order = [*sorted(counts.keys() - {"core", "in all"}), "core", "in all"]
    text = [f"{'room':16} {'lines':>6} {'not run':>8} {'run':>7}"]
    text += [
        f"{room:16} {counts[room][0]:6} {counts[room][0] - counts[room][1]:8} {share[room]:6.1f} %" for room in order
    ]
    return text, {name: share[name] for name in LEAST}


def main(arguments: list[str]) -> int:
    """Run the sessions under coverage and print the table; 0 when enough was run."""
    with tempfile.TemporaryDirectory(prefix="mbrl-coverage-") as folder:
        os.environ["COVERAGE_FILE"] = str(Path(folder, "data"))
        os.environ["COVERAGE_RCFILE"] = str(ROOT / "pyproject.toml")
        coverage = [sys.executable, "-m", "coverage"]
        code = sessions.main(["--all", *arguments], [*coverage, "run"])
        subprocess.run([*coverage, "combine", "--quiet"], cwd=ROOT, check=True)
        subprocess.run([*coverage, "json", "--quiet", "-o", f"{folder}/report.json"], cwd=ROOT, check=True)
        if "COVERAGE_HTML" in os.environ:
            subprocess.run([*coverage, "html", "--quiet", "-d", os.environ["COVERAGE_HTML"]], cwd=ROOT, check=True)
        text, reached = table(json.loads(Path(folder, "report.json").read_text(encoding="utf-8")))
    print("\n== coverage\n" + "\n".join(text))
    low = {name: share for name, share in reached.items() if share < LEAST[name]}
    for name, share in reached.items():
        print(
            f"{name}: {share:.1f} % of the lines, at least {LEAST[name]:.0f} % {'MISSED' if name in low else 'reached'}"
        )
    if code:
        print("Some tests failed while lines were counted, see above: see whether they do with `make test`.")
    return int(bool(low))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
