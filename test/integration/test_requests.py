"""The supervisor's requests are answered while everything else of mpc_node waits for a file."""

import os
import threading

from support.needs import needs
from support.ros import PANDA, Listening, ros, state

pytestmark = needs("rclpy")


def test_an_emergency_stop_is_granted_while_a_model_is_read(tmp_path):
    from std_srvs.srv import Trigger

    file = tmp_path / "model.npz"
    os.mkfifo(file)  # whoever reads it waits for a writer
    parameters = {
        **PANDA,
        "control.rate": 20.0,
        "planner.horizon": 5,
        "planner.backend": "casadi",
        "lockstep": True,
        "model_file": str(file),
    }
    with ros(("mpc_node", parameters)) as (peer, node):
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
        writer = threading.Thread(target=lambda: [file.write_bytes(b"no model") for _ in range(2)], daemon=True)
        writer.start()
        peer.until(loading.done, "the model's answer")
        assert not loading.result().success
