"""`make check`: style, types, docstrings, generated pages, links, package files. All run; a list ends the output."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The commands of this environment.
BIN = Path(sysconfig.get_path("scripts"))
PAGES = (
    "test/unit/test_links.py",
    "test/unit/test_changelog.py",
    "test/unit/test_dependencies.py",
    "test/unit/test_package.py",
)
CHECKS: dict[str, tuple[str, ...]] = {
    "ruff check": ("ruff", "check"),
    "ruff format": ("ruff", "format", "--check"),
    "mypy": ("mypy",),
    "docstrings": ("interrogate", "mbrl_ros"),
    "parameters page": ("mbrl", "parameters", "--check", "doc/parameters.md"),
    "commands page": ("mbrl", "commands", "--check", "doc/commands.md"),
    # External links are not followed; a warning lists them.
    "links, changelog, package.xml": ("python", "-m", "pytest", "-q", "-W", "default", *PAGES),
}


def main() -> int:
    """Run every check; 0 when all passed."""
    outcomes = {}
    for name, (command, *arguments) in CHECKS.items():
        print(f"\n== {name}: {command} {' '.join(arguments)}", flush=True)
        program = sys.executable if command == "python" else str(BIN / command)
        begin = time.monotonic()
        try:
            code = subprocess.run([program, *arguments], cwd=ROOT).returncode
        except FileNotFoundError:
            print(f"{command} is not installed: pip install 'mbrl_ros[check]'", file=sys.stderr)
            code = 127
        outcomes[name] = (code, time.monotonic() - begin)
    print("\n== checks")
    for name, (code, seconds) in outcomes.items():
        print(f"{name:30} {'ok' if code == 0 else f'FAILED (exit code {code})'}, {seconds:.0f} s")
    return int(any(code for code, _ in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
