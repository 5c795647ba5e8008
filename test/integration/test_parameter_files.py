"""A file means the same to the tools of this package and to a node of ROS that is started with it."""

import math
import subprocess
import sys

import numpy as np
import pytest

from mbrl_ros.config.parameter_file import ParameterFile
from mbrl_ros.config.settings_file import belongs_to_ros
from mbrl_ros.exceptions import ConfigurationError
from support.needs import needs, present

if present("rclpy"):
    from rclpy.context import Context
    from rclpy.node import Node

    from mbrl_ros.nodes.parameters import ReadsOverrides

    class PlainNode(ReadsOverrides, Node):
        """A node that declares what its file holds."""


pytestmark = needs("rclpy")

NODES = (("mpc_node", ""), ("mpc_node", "/arm1"), ("sim_node", "/x/arm1"))
PARTS = ("**", "*", "arm1", "x", "mpc_node", "sim_node", "other")
WORDS = """
    1 -7 +3 0 0x10 -0X1f 017 08 00 0o7 0b1 1_0 9223372036854775807 9223372036854775808
    -9223372036854775809 123456789012345678901
    1.0 -2.5 .5 -.5 +.5 5. 1e3 5e-2 1E+3 1.e-2 .e1 1e 1e400 1e-400 -1e-310 0e-999 0x1p3 0x.8 0x1.8p-2
    0x 0x1p 0x1p9999 1.5.2 1,5
    .inf -.inf +.inf .Inf .INF inf -Inf infinity .nan .NaN nan NAN nan(1) -.nan +.nan .iNf
    y Y n N yes Yes YES yEs no NO on On off OFF true True tRUE false FALSE
    a robot_1 1a a1 e1 1d 1f 1:30 2001-01-01 = <<x . + - -. -a _ / a/b a.b é ü1
""".split()
REFUSED = ["@x", "%x", "*x", "[a, y]", "[1, 2.0]", "[true, 1]", "- 1", ""]
QUOTED = [
    "'1'",
    '"1.5"',
    "'true'",
    "''",
    '""',
    "'y'",
    '"a\\tb"',
    "'it''s'",
    "!!str 1",
    "!!str y",
    "!!float 1",
    "!!int '1'",
    "'~'",
]
LISTS = [
    "[]",
    "[1, 2]",
    "[1.0, 2.5]",
    "[a, b]",
    "[y, n]",
    "[1e3, 5e-2]",
    "['1', a]",
    "[a, y]",
    "[1, 2.0]",
    "[true, 1]",
    "['']",
]
BLOCKS = ["|\n{0}  text\n{0}  1", ">\n{0}  1", "\n{0}  - 1\n{0}  - 2", "\n{0}- a\n{0}- b", "|-\n{0}  7"]


def random_file(rng):
    """A file of a supported form: blocks under one to three names, nested or not, parameters nested or with dots."""
    used, text = set(), ""
    for _ in range(rng.integers(1, 5)):
        parts = [str(part) for part in rng.choice(PARTS, rng.integers(1, 4))]
        cut = sorted({int(i) for i in rng.integers(0, len(parts), rng.integers(0, 3))} - {0})
        levels = ["/".join(parts[i:j]) for i, j in zip([0, *cut], [*cut, len(parts)], strict=True)]
        levels[0] = "/" * bool(rng.integers(2)) + levels[0]
        if levels[0] in used or "/".join(levels) in used:  # a name that is given twice is refused here, merged by ROS
            continue
        used |= {levels[0], "/".join(levels)}
        for depth, level in enumerate(levels):
            text += f"{'  ' * depth}{_key(level, rng)}:\n"
        text += f"{'  ' * len(levels)}ros__parameters:\n" + parameters(rng, "  " * (len(levels) + 1), 2)
    return text


def parameters(rng, indent, depth):
    text = ""
    for name in rng.permutation(("a", "b", "y", "on", "1e3", "c.d"))[: rng.integers(1, 5)]:
        if depth and rng.random() < 0.25:
            text += f"{indent}{_key(f's{depth}{name[0]}', rng)}:\n" + parameters(rng, indent + "  ", depth - 1)
        else:
            text += f"{indent}{_key(str(name), rng)}: {value(rng, indent)}\n"
    return text


def value(rng, indent):
    kind = rng.random()
    if kind < 0.01:
        return str(rng.choice(REFUSED))
    if kind < 0.6:
        return str(rng.choice(WORDS))
    if kind < 0.75:
        return str(rng.choice(QUOTED))
    if kind < 0.9:
        return str(rng.choice(LISTS))
    return str(rng.choice(BLOCKS)).format(indent)


def _key(name, rng):
    return f"'{name}'" if name.startswith("*") or rng.random() < 0.2 else name


def as_ros_reads(path, name, namespace):
    """{name: value}; None where the node cannot start."""
    context = Context()
    try:
        context.init(args=["--ros-args", "--params-file", str(path)])
        options = {"enable_rosout": False, "start_parameter_services": False}
        node = PlainNode(name, namespace=namespace, context=context, **options)
        read = {key: node.get_parameter(key).value for key in node.get_parameters_by_prefix("")}
        read |= {key: [] for key in node.empty_overrides}
        node.destroy_node()
        return {key: value for key, value in read.items() if not belongs_to_ros(key)}
    except RuntimeError:
        return None
    finally:
        context.try_shutdown()


def spelled(values):
    """{name: value} with the kinds of the values and signs of zero; arrays of ROS are lists."""
    return {
        name: repr(list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else value)
        for name, value in values.items()
    }


@pytest.mark.slow(but=2)
@pytest.mark.parametrize("seed", range(10))
def test_random_files_mean_the_same_to_ros(tmp_path, seed):
    rng, path = np.random.default_rng(seed), tmp_path / "random.yaml"
    agreed = 0
    for _ in range(60):
        path.write_text(random_file(rng), encoding="utf-8")
        for name, namespace in NODES:
            theirs = as_ros_reads(path, name, namespace)
            try:
                entries = ParameterFile.read(path).entries(f"{namespace}/{name}")
                ours = {key: entry.value for key, entry in entries.items()}
            except ConfigurationError:
                ours = None
            if ours is not None and theirs is not None:
                assert spelled(ours) == spelled(theirs), path.read_text()
                agreed += bool(ours)
            else:  # what ROS cannot read is refused here too, and nothing else in these files
                assert ours is None and theirs is None, path.read_text()
    assert agreed > 8


@pytest.mark.parametrize("text", [*WORDS, *QUOTED, *LISTS, *REFUSED])
def test_every_way_to_write_a_value_means_the_same_to_ros(tmp_path, text):
    path = tmp_path / "value.yaml"
    path.write_text(f"/**:\n  ros__parameters:\n    a: {text}\n", encoding="utf-8")
    theirs = as_ros_reads(path, "mpc_node", "")
    if theirs is None:
        with pytest.raises(ConfigurationError, match=":3: "):
            ParameterFile.read(path).entries("/mpc_node")
    else:
        ours = {key: entry.value for key, entry in ParameterFile.read(path).entries("/mpc_node").items()}
        assert spelled(ours) == spelled(theirs)
        assert math.nan not in theirs.values() or math.isnan(ours["a"])


START = """/**:
  ros__parameters:
    robot:
      description: package-data:panda
      joints: [panda_joint1, panda_joint2]
      position_margin: []
    {more}
"""


def started(node, tmp_path, text, seconds=20):
    """The exit code and the output of a node that is started with a file and, where that is fine, ends by itself."""
    path = tmp_path / "node.yaml"
    path.write_text(text)
    command = [sys.executable, "-m", f"mbrl_ros.nodes.{node}", "--ros-args", "--params-file", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def test_a_node_takes_empty_lists_for_the_default(tmp_path):
    text = START.format(
        more="payload_schedule: []\n    plant: {initial_position: []}\n    duration: 0.02\n    brakes: false"
    )
    code, output = started("sim_node", tmp_path, text)
    assert code == 0 and "Traceback" not in output, output


@pytest.mark.slow(but=1)
@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("planner: {horizn: 3}", ":7: unknown setting 'planner.horizn'; did you mean 'planner.horizon'?"),
        ("control.rate: 0.5", ":7: 'control.rate' must lie in [1, 2000] Hz, got 0.5"),
        ("robot.tip: y", ":7: 'robot.tip' must be text, got True; write it in quotes: 'y'"),
        ("plant.seed: 3", ":7: 'plant.seed' is a setting of sim_node; write it under /**/sim_node"),
        ("robot.jonts: []", ":7: unknown setting 'robot.jonts'"),
        ("robot.velocity_scale: [1, 0.5]", ":7: 'robot.velocity_scale' mixes 1 (a whole number) and 0.5 (a number)"),
        ("robot.tip: null", ":7: 'robot.tip' means nothing: ROS takes 'null' for a text"),
        ("robot.joints: [a]", ":7: 'robot.joints' is given twice, first in line 5"),
        ("\tcontrol: {rate: 100.0}", ":7: is indented with a tab"),
    ],
)
def test_a_node_refuses_a_wrong_file_with_one_line(tmp_path, more, words):
    code, output = started("mpc_node", tmp_path, START.format(more=more))
    (line,) = output.splitlines()
    assert code == 2 and words in line and line.startswith("mpc_node.py: "), output
