"""What made a report: the command and the date, so that whoever reads it can repeat it."""

from __future__ import annotations

import shlex
import sys
from datetime import datetime, timezone
from pathlib import Path


def made_by() -> str:
    """Return the command of this process, as it can be typed again, and the time (UTC)."""
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return f"Made by {command} on {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC."
