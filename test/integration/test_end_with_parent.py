"""A node with `end_with_parent` ends with the process that started it, also where that dies during the imports."""

import os
import subprocess
import sys
import time

import pytest

from support.needs import needs

pytestmark = needs("rclpy")
PATIENCE = 120.0  # [s]
NODE = """
import os, sys
import mbrl_ros.nodes
open(sys.argv[1], "w").write(str(os.getpid()))
while os.getppid() == mbrl_ros.nodes.parent.PARENT:  # it dies before anything else is imported
    pass
from mbrl_ros.nodes.{name} import main
sys.argv[1:] = ["--ros-args", "-p", "end_with_parent:=true", *{further}]
sys.exit(main())
"""
PARENT = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]])
while not (os.path.exists(sys.argv[2]) and open(sys.argv[2]).read()):
    time.sleep(0.01)
"""


def ended(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
@pytest.mark.parametrize("name, further", (("mpc_node", ["-p", "autostart:=false"]), ("guard_node", [])))
def test_a_parent_that_dies_during_the_imports(name, further, tmp_path):
    file = tmp_path / "process"
    node = NODE.format(name=name, further=further)
    environment = {**os.environ, "ROS_DOMAIN_ID": "97"}
    subprocess.run([sys.executable, "-c", PARENT, node, str(file)], check=True, timeout=PATIENCE, env=environment)
    process, deadline = int(file.read_text()), time.monotonic() + PATIENCE
    while not ended(process):
        assert time.monotonic() < deadline, f"{name} outlived its parent"
        time.sleep(0.05)
