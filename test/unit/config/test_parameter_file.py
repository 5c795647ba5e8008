"""What a file gives a node, and one line with file, line and remedy for what is wrong in it."""

import pytest

from mbrl_ros.config.parameter_file import ParameterFile
from mbrl_ros.config.settings_file import check, load_configuration, located, parameter_files, read_settings
from mbrl_ros.exceptions import ConfigurationError


@pytest.fixture
def file(tmp_path):
    """Write a file and give its path."""

    def written(text):
        path = tmp_path / "arm.yaml"
        path.write_text(text)
        return path

    return written


def block(heading, *lines, indent=""):
    return "".join(f"{indent}{line}\n" for line in (f"{heading}:", "  ros__parameters:", *(f"    {x}" for x in lines)))


def values(path, node="/mpc_node"):
    return {name: entry.value for name, entry in ParameterFile.read(path).entries(node).items()}


HEADINGS = {
    "/**": {"/mpc_node", "/arm1/mpc_node", "/x/arm1/mpc_node", "/arm1/sim_node"},
    "'**'": {"/mpc_node", "/arm1/mpc_node", "/x/arm1/mpc_node", "/arm1/sim_node"},
    "mpc_node": {"/mpc_node"},
    "/mpc_node": {"/mpc_node"},
    "'*'": {"/mpc_node"},
    "/**/mpc_node": {"/mpc_node", "/arm1/mpc_node", "/x/arm1/mpc_node"},
    "/arm1/mpc_node": {"/arm1/mpc_node"},
    "arm1/mpc_node": {"/arm1/mpc_node"},
    "/arm1/*": {"/arm1/mpc_node", "/arm1/sim_node"},
    "/arm1/**": {"/arm1/mpc_node", "/arm1/sim_node"},
    "/*/mpc_node": {"/arm1/mpc_node"},
    "/**/arm1/mpc_node": {"/arm1/mpc_node", "/x/arm1/mpc_node"},
    "/**/*": {"/mpc_node", "/arm1/mpc_node", "/x/arm1/mpc_node", "/arm1/sim_node"},
    "mpc": set(),
}


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_heading_holds_for_the_nodes_that_ros_says(file, heading):
    path = file(block(heading, "a: 1"))
    nodes = ("/mpc_node", "/arm1/mpc_node", "/x/arm1/mpc_node", "/arm1/sim_node")
    assert {node for node in nodes if values(path, node)} == HEADINGS[heading]


def test_the_last_matching_block_wins_whichever_is_more_specific(file):
    specific, general = block("mpc_node", "a: 2"), block("/**", "a: 1", "b: 1")
    assert values(file(general + specific)) == {"a": 2, "b": 1}
    assert values(file(specific + general)) == {"a": 1, "b": 1}


def test_names_of_nodes_and_parameters_may_be_nested_or_written_out(file):
    nested = "arm1:\n" + block("mpc_node", "control:", "  rate: 100.0", "robot.tip: hand", indent="  ")
    assert values(file(nested), "/arm1/mpc_node") == {"control.rate": 100.0, "robot.tip": "hand"}
    assert values(file(nested), "/mpc_node") == {}


def test_a_plain_file_of_sections_holds_for_the_node_of_every_kind(file):
    path = file("control: {rate: 5e1}\nplant.seed: 3\nlockstep: on\n")
    assert read_settings(path) == {"control.rate": 50.0, "lockstep": True}
    assert read_settings(path, "sim_node") == {"plant.seed": 3, "lockstep": True}
    with pytest.raises(ConfigurationError, match="names no nodes; leave out --node"):
        read_settings(path, node="/arm1/mpc_node")
    for empty in ("", "# nothing\n", "---\n"):
        assert read_settings(file(empty)) == {}


TWO = (
    block("/**", "robot.tip: hand") + block("/arm1/mpc_node", "control.rate: 1e2") + block("arm2/*", "control.seed: 7")
)


def test_several_nodes_are_not_merged_but_asked_for(file):
    path = file(TWO)
    with pytest.raises(ConfigurationError) as asked:
        read_settings(path)
    assert str(asked.value) == (
        f"{path}: holds parameters of several nodes: /arm1/mpc_node, /arm2/mpc_node; "
        "choose one with --node /arm1/mpc_node"
    )
    assert read_settings(path, node="/arm1/mpc_node") == {"robot.tip": "hand", "control.rate": 100.0}
    assert read_settings(path, node="arm2/mpc_node") == {"robot.tip": "hand", "control.seed": 7}
    with pytest.raises(ConfigurationError, match="holds nothing for the node /arm3/mpc; its headings are"):
        read_settings(file(block("/arm1/mpc_node", "a: 1")), node="/arm3/mpc")


def test_the_only_node_of_a_kind_is_taken(file):
    path = file(block("/**", "robot.tip: hand") + block("/arm1/mpc_node", "control.rate: 100"))
    assert read_settings(path) == {"robot.tip": "hand", "control.rate": 100}
    assert read_settings(path, "sim_node") == {"robot.tip": "hand"}
    other = block("/arm2/sim_node", "plant.seed: 2") + block("/arm1/sim_node", "plant.seed: 1")
    for node in ("/arm1/mpc_node", "arm1/mpc_node"):
        assert read_settings(file(TWO + other), "sim_node", node) == {"robot.tip": "hand", "plant.seed": 1}
    assert read_settings(path, "sim_node", "mpc_node") == {"robot.tip": "hand"}
    with pytest.raises(
        ConfigurationError, match=r"nodes in any namespace: /\*/mpc_node; choose one with --node /NAMESPACE/"
    ):
        read_settings(file(block("/*/mpc_node", "control.rate: 100")))


def test_another_name_of_a_node_is_chosen_and_a_misspelt_one_is_not_taken_for_one(file):
    path = file(block("/**", "robot.tip: hand") + block("mpc_nod", "control.rate: 100"))
    with pytest.raises(ConfigurationError, match=r":4: no node is called 'mpc_nod'; did you mean 'mpc_node'\?"):
        read_settings(path)
    assert read_settings(path, node="mpc_nod") == {"robot.tip": "hand", "control.rate": 100}
    read_settings(file(block("/**", "robot.tip: hand") + block("controller_manager", "update_rate: 100")))


A = "/**:\n  ros__parameters:\n"
WRONG = {
    "twice in a section": (
        A + "    control:\n      rate: 1\n      rate: 2\n",
        5,
        "'rate' is given twice, first in line 4",
    ),
    "twice, with dots": (A + "    control.rate: 1\n    control:\n      rate: 2\n", 5, "'control.rate' is given twice"),
    "a section twice": (A + "    robot:\n      tip: a\n    robot:\n      tip: b\n", 5, "'robot' is given twice"),
    "a node twice": (A + "    a: 1\n/**:\n  ros__parameters:\n    b: 1\n", 4, "'/**' is given twice, first in line 1"),
    "one node twice": (
        "a/b:\n  ros__parameters: {c: 1}\na:\n  b:\n    ros__parameters: {c: 1}\n",
        4,
        "'a/b' is given twice",
    ),
    "one underscore": ("/**:\n  ros_parameters:\n    a: 1\n", 2, "must be spelt 'ros__parameters'"),
    "misspelt": ("/**:\n  ros__params:\n    a: 1\n", 2, "must be spelt 'ros__parameters'"),
    "longer": ("/**:\n  ros__parameters_:\n    a: 1\n", 2, "must be spelt 'ros__parameters'"),
    "no ros__parameters": ("mpc_node:\n  control:\n    rate: 100.0\n", 1, "'mpc_node' has no 'ros__parameters'"),
    "a section as heading": (A + "    a: 1\nrobot:\n  tip: hand\n", 5, "'robot' has no 'ros__parameters'"),
    "nobody above": ("ros__parameters:\n  a: 1\n", 1, "write '/**:' for every node"),
    "nothing below": ("/**:\n  ros__parameters:\n", 2, "write {} for none"),
    "beside": ("a:\n  ros__parameters: {b: 1}\n  c:\n    ros__parameters: {d: 1}\n", 3, "'c' is beside"),
    "no name": (
        "/arm*/mpc_node:\n  ros__parameters: {b: 1}\n",
        1,
        "is no name of a node; * and ** replace whole parts",
    ),
    "tab": (A + "\tcontrol:\n\t\trate: 100.0\n", 3, "is indented with a tab; YAML allows only spaces there"),
    "no yaml": (A + "    a: [1\n    b: 2\n", 4, "is no YAML"),
    "alias": (A + "    a: &x 1\n    b: *x\n", 4, "ROS does not read aliases"),
    "a list": ("[1]\n", 1, "must hold a mapping"),
    "nested list": (A + "    a: [[1]]\n", 3, "'a' must be a list of single values"),
    "empty section": (A + "    robot: {}\n", 3, "'robot' holds nothing; remove it"),
    "no value": (A + "    model_file:\n    a: 1\n", 3, "'model_file' means nothing: it has no value; write \"\" or []"),
    "null": (A + "    robot.tip: ~\n", 3, "'robot.tip' means nothing: ROS takes '~' for a text"),
    "y among names": (A + "    robot:\n      joints: [x, y]\n", 4, "mixes x (text) and y (true or false) in one list"),
    "y among names, remedy": (A + "    robot:\n      joints: [x, y]\n", 4, "quote what is text: 'y'"),
    "1e3 among names": (A + "    robot.joints: [a, 1e3]\n", 3, "quote what is text: '1e3'"),
    "numbers mixed": (A + "    robot.velocity_scale: [1, 0.5]\n", 3, "write 1.0"),
    "numbers as names": (A + "    robot.joints: [1, 2]\n", 3, "must be text, got 1; write it in quotes: '1'"),
    "on as a name": (
        A + "    robot:\n      tip: on\n",
        4,
        "'robot.tip' must be text, got True; write it in quotes: 'on'",
    ),
    "off as a choice": (A + "    supervisor.start: off\n", 3, "must be text, got False; write it in quotes: 'off'"),
    "decimal comma": (A + "    control.rate: 100,5\n", 3, "'control.rate' must be a number, got '100,5'; write 100.5"),
    "quoted number": (A + "    control.rate: '1e2'\n", 3, "must be a number, got '1e2'; write 1e2 without quotes"),
    "out of bounds": (A + "    control:\n      rate: 0.5\n", 4, "'control.rate' must lie in [1, 2000] Hz, got 0.5"),
    "infinite": (A + "    robot.acceleration_limit: [.inf]\n", 3, "a number, and finite, got inf"),
    "unknown": (A + "    control:\n      rat: 1\n", 4, "unknown setting 'control.rat'; did you mean 'control.rate'?"),
    "another node's": (
        A + "    plant:\n      seed: 3\n",
        4,
        "'plant.seed' is a setting of sim_node; write it under /**/sim_node",
    ),
    "unknown section": ("contrl:\n  rate: 5.0\n", 2, "unknown setting 'contrl.rate'; did you mean 'control.rate'?"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_line_with_file_line_and_remedy(file, name):
    text, line, words = WRONG[name]
    path = file(text)
    with pytest.raises(ConfigurationError) as refused:
        read_settings(path)
    message = str(refused.value)
    assert message.startswith(f"{path}:{line}: ") and words in message and "\n" not in message


@pytest.mark.parametrize("content", [b"a: \xff", b"a: \x00", None])
def test_what_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "arm.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="arm.yaml"):
        read_settings(path)


def test_only_the_blocks_of_the_node_are_judged_unless_every_node_refuses_the_file(file):
    others = block("controller_manager", "update_rate: 100", "name: ~")
    assert read_settings(file(block("/**", "robot.tip: hand") + others)) == {"robot.tip": "hand"}
    with pytest.raises(ConfigurationError, match="mixes"):
        read_settings(file(block("/**", "robot.tip: hand") + block("controller_manager", "rates: [1, 0.5]")))


def test_empty_lists_mean_the_default_and_parameters_of_ros_are_no_settings(file):
    path = file(
        block(
            "/**",
            "use_sim_time: true",
            "qos_overrides:",
            "  /tf: {publisher: {depth: 5}}",
            "robot:",
            "  position_margin: []",
        )
    )
    assert read_settings(path) == {}
    assert load_configuration(path, {"robot.joints": []}).robot.position_margin == (0.02,)
    with pytest.raises(ConfigurationError, match="unknown setting 'robot.jonts'"):
        read_settings(file(block("/**", "robot.jonts: []")))


def test_a_node_says_where_a_wrong_setting_stands(file):
    path = file(block("/**", "control.rate: 3.0") + block("mpc_node", "control.rate: 0.5", "robot.tip: ~"))
    assert parameter_files(["node", "--ros-args", "--params-file", str(path), "-p", "a:=1"]) == [str(path)]
    about = {"key": "control.rate", "source": "parameters"}
    wrong = ConfigurationError("'control.rate' must lie in [1, 2000] Hz", value=0.5, **about)
    assert located(wrong, [str(path)]) == f"{path}:6: 'control.rate' must lie in [1, 2000] Hz"
    elsewhere = ConfigurationError("'control.rate' must lie in [1, 2000] Hz", value=0.25, **about)
    assert (
        located(elsewhere, [str(path)]) == located(wrong, []) == "parameters: 'control.rate' must lie in [1, 2000] Hz"
    )
    check([str(path)])
    with pytest.raises(ConfigurationError, match=":7: 'robot.tip' means nothing"):
        check([str(path)], "/mpc_node")
