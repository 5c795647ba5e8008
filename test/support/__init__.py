"""What several tests use: robots, planning problems, bags, nodes as processes."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # of the repository
SHARED = (
    ROOT.parent / "shared"
)  # recordings too large for the repository; tests of them are skipped where it is missing
