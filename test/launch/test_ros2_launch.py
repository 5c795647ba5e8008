"""`ros2 launch mbrl_ros ...` as a user types it."""

import os
import signal
import subprocess

import pytest

from support import ROOT
from support.launching import JOINTS, planar_parameters
from support.needs import needs, present
from support.ros import PATIENCE

if present("rclpy"):
    from sensor_msgs.msg import JointState

pytestmark = needs("ros2 launch", "launch_ros", "rclpy", "package mbrl_ros")

LAUNCH_FILES = sorted(path.name for path in (ROOT / "launch").glob("*.launch.py"))


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_every_launch_file_shows_its_arguments(name):
    done = subprocess.run(
        ["ros2", "launch", "mbrl_ros", name, "--show-args"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert "params_file" in done.stdout or "namespace" in done.stdout


@needs("mujoco")
def test_a_simulated_robot_moves_and_ctrl_c_ends_it_all(tmp_path, peer):
    parameters = planar_parameters(tmp_path)
    process = subprocess.Popen(
        ["ros2", "launch", "mbrl_ros", "sim.launch.py", f"params_file:={parameters}", "lockstep:=true"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a terminal sends Ctrl-C to the whole group
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        peer.listen(JointState, "/joint_states")
        peer.until(
            lambda: process.poll() is not None or len(peer.heard["/joint_states"]) > 10, "states of the simulated robot"
        )
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=PATIENCE)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, said
    assert list(peer.heard["/joint_states"][-1].name) == JOINTS
    for node in ("mpc_node", "sim_node"):
        assert "process has finished cleanly" in said and node in said
    assert "process has died" not in said and "Traceback" not in said
