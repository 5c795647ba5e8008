"""Every setting is a ROS parameter with its bounds; what the settings refuse, the node refuses with the same words."""

import pytest

from mbrl_ros.config.configuration import documented, section_types
from mbrl_ros.config.sections.nodes import NodeSettings
from mbrl_ros.exceptions import ConfigurationError
from support.distributions import PLUGIN, installing
from support.needs import needs, present

if present("rclpy"):
    from rclpy.context import Context
    from rclpy.node import Node
    from rclpy.parameter import Parameter

    from mbrl_ros.nodes.parameters import Parameters, ReadsOverrides

    class OverriddenNode(ReadsOverrides, Node):
        """A node with nothing but parameters."""


pytestmark = needs("rclpy")


SECTIONS = {**section_types(), "": NodeSettings}


@pytest.fixture
def make_node():
    context = Context()
    context.init()
    nodes = []

    def make(*overrides: tuple, sections=SECTIONS):
        node = OverriddenNode(
            "parameters",
            context=context,
            parameter_overrides=[Parameter(key, value=value) for key, value in overrides],
        )
        nodes.append(node)
        return node, Parameters(node, sections)

    yield make
    for node in nodes:
        node.destroy_node()
    context.try_shutdown()


def test_every_setting_is_declared_with_default_bounds_and_description(make_node):
    node, _ = make_node()
    for key, default, info in documented():
        descriptor = node.describe_parameter(key)
        value = node.get_parameter(key).value
        assert (tuple(value) if isinstance(default, tuple) else value) == default, key
        assert descriptor.description.startswith(info.doc)
        assert descriptor.read_only is not info.dynamic
        for choice in info.choices:
            assert str(choice) in descriptor.additional_constraints
    horizon = node.describe_parameter("planner.horizon").integer_range[0]
    assert (horizon.from_value, horizon.to_value) == (2, 500)
    rate = node.describe_parameter("control.rate").floating_point_range[0]
    assert (rate.from_value, rate.to_value) == (1.0, 2000.0)


def test_overrides_are_taken_and_corrected_to_their_type(make_node):
    node, parameters = make_node(
        ("control.rate", 100),
        ("prior.integrator.strength", 50),
        ("lockstep", True),
        ("robot.acceleration_limit", [1, 2]),
    )
    assert parameters.sections["control"].rate == 100.0
    assert parameters.sections["prior.integrator"].strength == (50.0,)
    assert parameters.sections["robot"].acceleration_limit == (1.0, 2.0)
    assert parameters.sections[""].lockstep is True
    assert node.get_parameter("control.rate").value == 100.0


@pytest.mark.parametrize(
    "key, value, words",
    (
        ("control.rat", 100.0, "did you mean 'control.rate'"),
        ("lock_step", True, "did you mean 'lockstep'"),
        ("control.rate", -1.0, "'control.rate' must lie in"),
        ("control.rate", "fast", "'control.rate' must be a number"),
        ("dynamics.estimator", "refitt", "did you mean 'refit'"),
    ),
)
def test_wrong_overrides_are_refused_with_the_key_and_the_remedy(make_node, key, value, words):
    with pytest.raises(ConfigurationError, match=words.replace("[", r"\[")):
        make_node((key, value))


def test_parameters_of_ros_itself_are_left_alone(make_node):
    node, _ = make_node(("use_sim_time", True), ("qos_overrides./tf.publisher.depth", 5))
    assert node.get_parameter("use_sim_time").value is True


def test_dynamic_parameters_change_at_run_time_others_do_not(make_node):
    node, parameters = make_node()
    taken = []
    parameters.on_change(lambda sections: taken.append(sections["dynamics"].forgetting))
    assert node.set_parameters([Parameter("dynamics.forgetting", value=0.9)])[0].successful
    assert taken == [0.9] and parameters.sections["dynamics"].forgetting == 0.9
    assert not node.set_parameters([Parameter("dynamics.forgetting", value=0.1)])[0].successful
    refused = node.set_parameters([Parameter("planner.horizon", value=20)])[0]
    assert not refused.successful and "read-only" in refused.reason
    assert taken == [0.9]


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution."""
    yield from installing(tmp_path, monkeypatch)


def test_the_settings_of_a_plug_in_are_parameters_too_and_a_broken_one_is_no_error(make_node, install):
    modules = {"level_of_x": PLUGIN.format(weight=0.0), "broken_of_x": "1 / 0"}
    install("spirit_level", {"costs": {"level": "level_of_x", "broken": "broken_of_x"}}, modules)
    node, parameters = make_node(("cost.level.height", 2), sections={**section_types(), "": NodeSettings})
    assert parameters.sections["cost.level"].height == 2.0 and node.get_parameter("cost.level.weight").value == 0.0
    assert node.describe_parameter("cost.level.height").description == "height of the table [m]"
    with pytest.raises(ConfigurationError, match="the cost 'broken' of spirit_level 1.2 cannot be used"):
        make_node(("cost.broken.weight", 1.0))
