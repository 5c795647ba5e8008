"""The page of view_node in a browser: the health of a model and the verdict of a run, also after the node has ended."""

import json
import re

import pytest

from mbrl_ros.console.verdict import Verdict
from mbrl_ros.replay.health import HEALTH_FIELDS, HEALTH_VERSION
from mbrl_ros.view.health import HEALTH_PLOTS
from support.browser import opened
from support.needs import needs, present
from support.robots import planar_arm
from support.ros import ros

if present("rclpy"):
    from geometry_msgs.msg import Vector3, WrenchStamped
    from std_msgs.msg import Float64MultiArray, MultiArrayDimension

ADDRESS = re.compile(r"open (http://localhost:\d+)")
TEXT = "document.body.innerText"
PLOTS = "document.querySelectorAll('.uplot canvas').length"


def health(k: int) -> "Float64MultiArray":
    values = {name: 0.5 for name in HEALTH_FIELDS} | {"stamp": 1.0 + 0.05 * k, "mass": 1.25}
    message = Float64MultiArray(data=list(values.values()))
    message.layout.dim = [MultiArrayDimension(label=label) for label in (HEALTH_VERSION, *values)]
    return message


@needs("rclpy", "viser", "a browser", "websockets")
@pytest.mark.parametrize("width", (390, 1400))
@pytest.mark.slow(but=1)
def test_the_page_shows_the_health_of_a_model_and_the_verdict_of_a_run(tmp_path, width):
    arm, summary = tmp_path / "arm.urdf", tmp_path / "summary.json"
    arm.write_text(planar_arm(2))
    settings = {"robot_description": str(arm), "node": "model_health_node", "summary": str(summary), "port": 8500}
    settings["frame_rate"] = 5.0  # a browser without a graphics card keeps up on a busy machine
    with ros(("view_node", settings)) as (peer, node):
        values = peer.publisher(Float64MultiArray, "/model_health_node/health")
        wrench = peer.publisher(WrenchStamped, "/model_health_node/wrench")
        peer.until(lambda: ADDRESS.search(node.output), "the address")
        with opened(ADDRESS.search(node.output)[1], tmp_path / "browser") as tab:
            tab.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
            count = 0

            def told(*texts: str) -> bool:
                nonlocal count
                count += 1
                values.publish(Float64MultiArray(data=[1.0]))  # no health: no effect
                values.publish(health(count))
                wrench.publish(WrenchStamped())
                message = WrenchStamped()
                message.wrench.force = Vector3(x=-2.5, y=0.0, z=float(12))
                wrench.publish(message)
                peer.spin()
                said = tab.value(TEXT) or ""  # the document is not there yet
                return all(text in said for text in texts)

            tab.until(lambda: told("running", "1.25 kg", "-2.50, 0.00, 12.00 N", "payload [kg]"), "the health")
            tab.until(lambda: told() and tab.value(PLOTS) >= len(HEALTH_PLOTS), "the curves")
            assert tab.value("document.documentElement.scrollWidth") <= width
            summary.write_text("{")
            tab.until(lambda: told() and "no summary with a verdict" in node.output, "the reason")
            summary.write_text(json.dumps({"verdict": Verdict(False, "a <b> was missed", 1.0).to_json()}))
            tab.until(lambda: "FAIL: a <b> was missed, since 1.00 s" in tab.value(TEXT), "the verdict")
            node.signal(2)
            assert node.wait() == 0 and "Traceback" not in node.output
            assert "FAIL: a <b> was missed" in tab.value(TEXT)  # the page keeps what it showed
