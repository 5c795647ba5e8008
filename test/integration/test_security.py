"""The SROS2 policy names exactly the topics and services that mpc_node and guard_node have."""

import xml.etree.ElementTree as ElementTree

from support import ROOT
from support.needs import needs, present
from support.ros import PANDA, ros

pytestmark = needs("rclpy", "example-robot-data")


POLICY = ElementTree.parse(ROOT / "config" / "security" / "policy.xml").getroot()
# Where the parameters say so: one of two topics for commands without a guard, the simulated clock, the collision rule.
SOMETIMES = {"/mpc_node/shadow_commands", "/clock", "/mpc_node/capsules", "/mpc_node/obstacles"}
SOMETIMES |= {"/feedback_commands"}  # in place of a guard, for linear_feedback_controller
SOMETIMES |= {"/gripper_commands", "/mpc_node/gripper"}  # with gripper_joints
if not present("control_msgs"):
    SOMETIMES |= {"/mpc_node/goal_trajectory", "/mpc_node/accepted_jog", "/mpc_node/target_jog"}
if not present("tf2_msgs"):
    SOMETIMES |= {"/tf", "/tf_static"}
# Not in every ROS 2: Humble has no type descriptions.
NODES = ["mpc_node", "mpc_node_requests", "mpc_node_models", "guard_node"]  # mpc_node_clock under use_sim_time only
if present("control_msgs"):
    NODES.append("mpc_node_actions")
OPTIONAL = {f"/{node}/get_type_description" for node in NODES}
PARTS = ("send_goal", "cancel_goal", "get_result")
KINDS = {"publisher": ("topics", "publish"), "subscriber": ("topics", "subscribe"), "service": ("services", "reply")}


def allowed(enclave: str, kind: str, how: str, node: str = "") -> set[str]:
    """Full names of what the profiles in namespace /, or that of `node`, may publish, subscribe, request or reply."""
    profiles = POLICY.findall(f"enclaves/enclave[@path='{enclave}']/profiles/profile")
    assert profiles and all(profile.get("ns") == "/" for profile in profiles)
    return {
        "/" + entry.text.lstrip("/")
        for profile in profiles
        if node in ("", profile.get("node"))
        for group in profile.findall(kind)
        if group.get(how) == "ALLOW"
        for entry in group
    } | parts_of_actions(profiles, kind, how, node)


def parts_of_actions(profiles, kind: str, how: str, node: str) -> set[str]:
    """The topics and services that an action consists of, for the node that executes it."""
    parts = {("topics", "publish"): ("feedback", "status"), ("services", "reply"): PARTS}.get((kind, how), ())
    return {
        f"/{entry.text}/_action/{part}"
        for profile in profiles
        if node in ("", profile.get("node"))
        for entry in profile.findall("actions[@execute='ALLOW']/action")
        for part in parts
    }


def test_the_policy_names_what_the_nodes_have():
    settings = {
        **PANDA,
        "robot.interface": "velocity",
        "control.controller": "teach",
        "trajectory_commands": True,
        "planner.horizon": 5,
        "guard": "guard_node",
    }
    with ros(("mpc_node", settings), ("guard_node", {})) as (peer, *_):

        def has(node: str, kind: str) -> set[str]:
            try:
                return {name for name, _ in getattr(peer.node, f"get_{kind}_names_and_types_by_node")(node, "/")}
            except RuntimeError:  # it is not there yet
                return set()

        for node in NODES:
            for kind, what in KINDS.items():
                names = allowed("/mbrl/controller", *what, node)
                needed = names - SOMETIMES - OPTIONAL
                peer.until(lambda n=node, k=kind, w=needed: has(n, k) >= w, f"every {kind} of {node} in the policy")
                assert has(node, kind) <= names


def test_an_operator_may_ask_for_what_the_controller_offers_and_set_nothing():
    assert allowed("/mbrl/operator", "services", "request") <= allowed("/mbrl/controller", "services", "reply")
    targets = {topic for topic in allowed("/mbrl/controller", "topics", "subscribe") if "/target_" in topic}
    assert targets <= allowed("/mbrl/operator", "topics", "publish")
    assert not any("parameter" in service for service in allowed("/mbrl/operator", "services", "request"))


def test_an_operator_may_stop_the_arm_whatever_has_become_of_mpc_node():
    stops = {f"/{node}/{name}" for node in ("mpc_node", "guard_node") for name in ("e_stop", "hold", "clear", "resume")}
    assert stops <= allowed("/mbrl/operator", "services", "request")
