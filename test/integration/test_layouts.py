"""The layouts that are shipped are those that `mbrl layout` makes of today's messages."""

import pytest

from mbrl_ros.cli.main import main
from mbrl_ros.config.resources import share_directory
from support.needs import needs

pytestmark = needs("rclpy", "example_robot_data")


@pytest.mark.parametrize("tool, name", (("foxglove", "foxglove.json"), ("plotjuggler", "plotjuggler.xml")))
def test_the_layout_of_the_panda_is_up_to_date(capsys, tool, name):
    assert main(["layout", tool]) == 0
    assert capsys.readouterr().out == (share_directory() / "config" / name).read_text()


@pytest.mark.parametrize("node", ("/arm1/mpc_node", "arm1/mpc_node"))
def test_a_controller_in_a_namespace_has_the_topics_of_its_namespace(tmp_path, node):
    path = tmp_path / "layout.json"
    text = "/arm1/mpc_node: {ros__parameters: {robot: {description: 'package-data:panda'}}}"
    (tmp_path / "robot.yaml").write_text(text)
    arguments = ["layout", "foxglove", "--robot", str(tmp_path / "robot.yaml"), "--node", node]
    assert main([*arguments, "-o", str(path)]) == 0
    layout = path.read_text()
    assert "/arm1/mpc_node/status.data[0]" not in layout and "/arm1/mpc_node/status.data[" in layout
    assert '"/arm1/joint_states.position[0]"' in layout and '"/arm1/robot_description"' in layout
