"""Who executes the commands of a topic, by what the graph tells."""

from types import SimpleNamespace as Fields

from support.needs import needs, present

if present("rclpy"):
    from mbrl_ros.nodes.command_readers import full_name, readers

pytestmark = needs("rclpy")


def endpoint(name, namespace="/"):
    return Fields(node_name=name, node_namespace=namespace)


def test_neither_observers_nor_nodes_that_are_not_known_yet_execute_commands():
    """A controller's subscription may be discovered before its name; taken for another reader it got commands."""
    found = [
        endpoint("mpc_node"),
        endpoint("record_node"),
        endpoint("_ros2cli_123"),
        endpoint("_NODE_NAME_UNKNOWN_", "_NODE_NAMESPACE_UNKNOWN_"),
        endpoint("forward_command_controller", "/left"),
    ]
    node = Fields(get_subscriptions_info_by_topic=lambda topic: found if topic == "/commands" else [])
    assert list(map(full_name, readers(node, "/commands", ("/mpc_node",)))) == ["/left/forward_command_controller"]
