"""Make the ROS 2 of this Python environment usable without sourcing or activating it.

The ament index finds packages through AMENT_PREFIX_PATH. The ROS 2 wheels are in the root of the virtual
environment and nothing sets that variable for them; a sourced ROS 2 sets it but does not know this environment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def prepare() -> None:
    """Put this environment first in AMENT_PREFIX_PATH, for this process and its children, if it holds ROS packages."""
    if not Path(sys.prefix, "share", "ament_index").is_dir():
        return
    prefixes = [prefix for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    if sys.prefix not in prefixes:
        os.environ["AMENT_PREFIX_PATH"] = os.pathsep.join([sys.prefix, *prefixes])
