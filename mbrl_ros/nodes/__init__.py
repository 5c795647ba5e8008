"""The ROS 2 nodes and what only they need. Nothing outside this room, demo/session and bench/node imports ROS.

A node that a launch file started ends with its launch from its first import on (launched.py).
"""

import os

from . import parent as parent  # notes it before everything else is imported

if "MBRL_ROS_LAUNCH" in os.environ:
    from .launched import begin

    begin()
