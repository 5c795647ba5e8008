"""The SROS2 policy names exactly the topics and services that mpc_node has."""

import xml.etree.ElementTree as ElementTree

from support import ROOT
from support.needs import needs
from support.ros import PANDA, ros

pytestmark = needs("rclpy", "example-robot-data")


POLICY = ElementTree.parse(ROOT / "config" / "security" / "policy.xml").getroot()
# Where the parameters say so: one of two command topics, and the simulated clock.
SOMETIMES = {"/commands", "/mpc_node/shadow_commands", "/clock"}
# Not in every ROS 2: Humble has no type descriptions.
OPTIONAL = {"/mpc_node/get_type_description"}


def allowed(enclave: str, kind: str, how: str) -> set[str]:
    """Full names of what a profile in namespace / may publish, subscribe, request or reply."""
    (profile,) = POLICY.findall(f"enclaves/enclave[@path='{enclave}']/profiles/profile")
    assert profile.get("ns") == "/"
    return {
        "/" + entry.text.lstrip("/") for group in profile.findall(kind) if group.get(how) == "ALLOW" for entry in group
    }


def test_the_policy_names_what_the_node_has():
    settings = {
        **PANDA,
        "robot.interface": "velocity",
        "control.controller": "teach",
        "trajectory_commands": True,
        "planner.horizon": 5,
    }
    with ros(("mpc_node", settings)) as (peer, _):

        def has(kind: str) -> set[str]:
            try:
                return {name for name, _ in getattr(peer.node, f"get_{kind}_names_and_types_by_node")("mpc_node", "/")}
            except RuntimeError:  # it is not there yet
                return set()

        publishing, subscribing, replying = (
            allowed("/mbrl/controller", *what)
            for what in (("topics", "publish"), ("topics", "subscribe"), ("services", "reply"))
        )
        for kind, names in (("publisher", publishing), ("subscriber", subscribing), ("service", replying)):
            peer.until(lambda: has(kind) >= names - SOMETIMES - OPTIONAL, f"every {kind} of the policy")
            assert has(kind) <= names


def test_an_operator_may_ask_for_what_the_controller_offers_and_set_nothing():
    assert allowed("/mbrl/operator", "services", "request") <= allowed("/mbrl/controller", "services", "reply")
    targets = {topic for topic in allowed("/mbrl/controller", "topics", "subscribe") if "/target_" in topic}
    assert targets <= allowed("/mbrl/operator", "topics", "publish")
    assert not any("parameter" in service for service in allowed("/mbrl/operator", "services", "request"))
