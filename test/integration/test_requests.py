"""The supervisor's requests are answered while everything else of mpc_node waits for a file."""

import os
import sys
import threading

import pytest

from support.needs import needs
from support.ros import PANDA, Listening, ros, state

pytestmark = needs("rclpy")


# imported by the node's interpreter before anything else: whoever reads a model waits until the test writes
SLOW_READER = """
import mbrl_ros.data.store as store
read = store.load
def load(*arguments):
    with open({wait!r}) as wait:
        wait.read()
    return read(*arguments)
store.load = load
"""


@pytest.mark.slow
def test_an_emergency_stop_is_granted_while_a_model_is_read(tmp_path):
    from std_srvs.srv import Trigger

    file, wait = tmp_path / "model.npz", tmp_path / "wait"
    file.write_bytes(b"no model")
    os.mkfifo(wait)
    (tmp_path / "sitecustomize.py").write_text(SLOW_READER.format(wait=str(wait)))
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    parameters = {
        **PANDA,
        "control.rate": 20.0,
        "planner.horizon": 5,
        "planner.backend": "casadi",
        "lockstep": True,
        "model_file": str(file),
    }
    with ros(("mpc_node", parameters), environment=environment) as (peer, node):
        robot = Listening(peer)
        robot.begin(state(1.0))
        load = peer.node.create_client(Trigger, "/mpc_node/load_model")
        stop = peer.node.create_client(Trigger, "/mpc_node/e_stop")
        peer.until(lambda: load.service_is_ready() and stop.service_is_ready(), "services")
        loading = load.call_async(Trigger.Request())
        for _ in range(20):
            peer.spin()
        stopping = stop.call_async(Trigger.Request())
        peer.until(stopping.done, "the emergency stop's answer")
        assert stopping.result().success and not loading.done()
        writer = threading.Thread(target=lambda: wait.write_text(""), daemon=True)
        writer.start()
        peer.until(loading.done, "the model's answer")
        assert not loading.result().success
