"""doc/topics.md names the topics and services that the nodes have, with their types and qualities of service."""

import contextlib
import re

import pytest

from support import ROOT
from support.domains import new_domain
from support.needs import needs, present
from support.ros import PANDA

pytestmark = needs("rclpy", "mujoco", "example-robot-data")

if present("rclpy", "mujoco"):
    from rclpy.context import Context
    from rclpy.lifecycle import TransitionCallbackReturn
    from rclpy.parameter import Parameter
    from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

    from mbrl_ros.nodes.distillation_node import DistillationNode
    from mbrl_ros.nodes.executor import EndRequest
    from mbrl_ros.nodes.model_health_node import ModelHealthNode
    from mbrl_ros.nodes.mpc_node import MpcNode
    from mbrl_ros.nodes.sim_node import SimNode

PAGE = (ROOT / "doc" / "topics.md").read_text(encoding="utf-8")
# What rclpy gives to every node, and to every lifecycle node.
STANDARD = {
    "/parameter_events",
    "/rosout",
    "/clock",
    "~/transition_event",
    *(f"~/{name}" for name in ("change_state", "get_state", "get_available_states", "get_available_transitions")),
    *(
        f"~/{name}"
        for name in ("get_transition_graph", "get_type_description", "describe_parameters", "get_parameters")
    ),
    *(f"~/{name}" for name in ("get_parameter_types", "list_parameters", "set_parameters")),
    "~/set_parameters_atomically",
}
SETTINGS = {**PANDA, "planner.horizon": 5, "autostart": False}


def rows(node: str, part: str = "") -> list[list[str]]:
    """The cells of the table rows in a node's section, or in one part of it."""
    (section,) = re.findall(rf"^## {node}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    if part:
        (section,) = re.findall(rf"^### {part}\n(.*?)(?=^### |\Z)", section, re.MULTILINE | re.DOTALL)
    table = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]*)`", cell)


def topics(table: list[list[str]]) -> dict[str, tuple[str, str]]:
    """{topic: (type, quality of service)}, where the last three cells are type, quality and meaning."""
    return {name: (row[-3], row[-2]) for row in table for name in names(row[0])}


def described(qos) -> str:
    reliable = "best effort" if qos.reliability is ReliabilityPolicy.BEST_EFFORT else "reliable"
    latched = ", latched" if qos.durability is DurabilityPolicy.TRANSIENT_LOCAL else ""
    return f"{reliable}, {qos.depth}{latched}"


def found(node, endpoints) -> dict[str, tuple[str, str]]:
    """{topic: (type, quality of service)} of a node's publishers or subscriptions."""
    result = {}
    for endpoint in endpoints:
        kind = endpoint.msg_type
        package = kind.__module__.partition(".")[0]
        result[short(node, endpoint.topic_name)] = (f"{package}/{kind.__name__}", described(endpoint.qos_profile))
    return {name: what for name, what in result.items() if name not in STANDARD}


def services(node) -> set[str]:
    """Those of the node, and those that nodes beside it serve for it."""
    beside = [name for name, _ in node.get_node_names_and_namespaces() if name.startswith(f"{node.get_name()}_")]
    served = {
        name
        for beside_it in beside
        for name, _ in node.get_service_names_and_types_by_node(beside_it, node.get_namespace())
        if name.startswith(f"/{node.get_name()}/")
    }
    own = {service.service_name for service in node.services}
    return {short(node, name) for name in own | served if "/_action/" not in name} - STANDARD


def actions(node) -> dict[str, str]:
    """{action: its type} of the node, which nodes beside it serve for it."""
    from rclpy.action import get_action_server_names_and_types_by_node

    beside = [name for name, _ in node.get_node_names_and_namespaces() if name.startswith(f"{node.get_name()}_")]
    return {
        short(node, name): kind.replace("/action/", "/")
        for other in beside
        for name, (kind,) in get_action_server_names_and_types_by_node(node, other, node.get_namespace())
    }


def short(node, name: str) -> str:
    """A name as the page has it: relative to the node, or to its namespace."""
    own = f"/{node.get_name()}/"
    if name.startswith(own):
        return f"~/{name.removeprefix(own)}"
    return name if name == "/diagnostics" or name in STANDARD else name.removeprefix("/")


@contextlib.contextmanager
def created(kind, settings: dict):
    """A node in this process that does not run."""
    context = Context()
    context.init(domain_id=new_domain())
    parameters = [Parameter(name, value=value) for name, value in settings.items()]
    node = kind(EndRequest(), context=context, parameter_overrides=parameters)
    try:
        yield node
    finally:
        node.destroy_node()
        context.try_shutdown()


@pytest.fixture(scope="module")
def mpc_nodes():
    """What an mpc_node has: with everything it can have, and in shadow."""
    everything = {**SETTINGS, "robot.interface": "velocity", "control.controller": "teach", "trajectory_commands": True}
    everything["gripper_joints"] = ["panda_finger_joint1"]
    graphs = []
    for settings in (everything, {**SETTINGS, "shadow": True}):
        with created(MpcNode, settings) as node:
            assert node.trigger_configure() is TransitionCallbackReturn.SUCCESS
            served = services(node), actions(node)
            graphs.append((found(node, node.publishers), found(node, node.subscriptions), *served))
            node.trigger_cleanup()
    return graphs


def test_the_publications_of_mpc_node(mpc_nodes):
    (all_of_them, *_), (in_shadow, *_) = mpc_nodes
    page = topics(rows("mpc_node", "Publications"))
    assert page.pop("feedback_commands")[0] == "linear_feedback_controller_msgs/Control"  # has a test of its own
    if not present("control_msgs"):
        del page["~/goal_trajectory"], page["~/accepted_jog"]
    assert {**all_of_them, "~/shadow_commands": in_shadow["~/shadow_commands"]} == page
    optional = {"commands", "trajectory_commands", "gripper_commands", "~/supervision", "~/policy_status"}
    assert set(in_shadow) == set(page) - optional


def test_the_subscriptions_of_mpc_node(mpc_nodes):
    page = topics(rows("mpc_node", "Subscriptions"))
    if not present("tf2_msgs"):
        del page["/tf"], page["/tf_static"]
    if not present("control_msgs"):
        del page["~/target_jog"]
    assert {f"/{name}" if name in ("tf", "tf_static") else name: kind for name, kind in mpc_nodes[0][1].items()} == page
    assert set(mpc_nodes[1][1]) == set(mpc_nodes[0][1]) - {"policy", "~/gripper"}


def test_the_fields_of_target_progress():
    from mbrl_ros.nodes.target_progress import PROGRESS_FIELDS

    table = rows("mpc_node", "How a target goes on")
    described = [name for row in table if len(row) == 2 for name in names(row[0])]
    assert described[-len(PROGRESS_FIELDS) :] == list(PROGRESS_FIELDS)


def test_the_services_of_mpc_node(mpc_nodes):
    assert mpc_nodes[0][2] == {name for row in rows("mpc_node", "Services") for name in names(row[0])}
    assert mpc_nodes[1][2] == mpc_nodes[0][2] - {"~/promote_policy", "~/demote_policy"}


def test_the_action_of_mpc_node(mpc_nodes):
    page = {name: row[1] for row in rows("mpc_node", "Action") for name in names(row[0])}
    assert [graph[3] for graph in mpc_nodes] == [page if present("control_msgs") else {}] * 2


@pytest.mark.parametrize("name", ("sim_node", "distillation_node", "model_health_node"))
def test_the_other_nodes(name):
    kind = {"sim_node": SimNode, "distillation_node": DistillationNode, "model_health_node": ModelHealthNode}[name]
    table = rows(name)
    # with efforts model_health_node hears no commands
    more = {SimNode: {"autostart": False}, ModelHealthNode: {"robot.interface": "velocity"}}.get(kind, {})
    with created(kind, {**PANDA, **more}) as node:
        assert found(node, node.publishers) == topics([row for row in table if row[1] == "publishes"])
        assert found(node, node.subscriptions) == topics([row for row in table if row[1] == "subscribes"])
        assert services(node) == {entry for row in table if len(row) == 2 for entry in names(row[0])}
