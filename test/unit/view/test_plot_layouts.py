"""Layouts of Foxglove and PlotJuggler: every curve is the value whose name it has."""

import json
import re
from xml.etree import ElementTree

import pytest

from mbrl_ros.view.plot_layouts import PROGRESS_PLOTS, STATUS_PLOTS, Topics, foxglove_layout, plotjuggler_layout

# further fields before, between and behind those that are shown
STATUS = ("stamp", *(name for names in STATUS_PLOTS.values() for name in names[::-1]), "new")
PROGRESS = (*(name for names in PROGRESS_PLOTS.values() for name in names), "outcome")
TOPICS = Topics("/left/mpc_node", ("a <joint>", 'b"&'), STATUS, PROGRESS, commands="/left/commands")
ARRAYS = {"/left/mpc_node/status": STATUS, "/left/mpc_node/target_progress": PROGRESS, "/left/commands": TOPICS.joints}


def named(topic: str, index: int) -> str:
    """The name of an element of one of the arrays."""
    return ARRAYS[topic][index]


def test_every_curve_of_foxglove_has_the_name_of_its_element():
    layout = json.loads(foxglove_layout(TOPICS))
    panels, shown = layout["configById"], set()
    for path in (path for panel in panels.values() for path in panel.get("paths", ())):
        topic, field, index = re.fullmatch(r"([\w/]+)\.(\w+)\[(\d+)\]", path["value"]).groups()
        if topic == "/joint_states":  # in the driver's order: not by a joint's name
            assert path["label"] == f"{field}[{index}]"
            continue
        name = named(topic, int(index))
        shown.add(name)
        assert path["label"].removeprefix("command ").partition(" [")[0] == name
    assert shown == {*STATUS, *PROGRESS, *TOPICS.joints} - {"stamp", "new", "outcome"}
    placed = re.findall(r'"(?:first|second|layout)": "([^"]+)"', json.dumps(layout))
    assert sorted(placed) == sorted(panels)  # every panel once


def test_every_curve_of_plotjuggler_is_a_joint_s_or_the_element_of_its_name():
    root = ElementTree.fromstring(plotjuggler_layout(TOPICS))
    sources = {one.get("name"): one.findtext("linked_source") for one in root.iter("snippet")}
    curves = [curve.get("name") for curve in root.iter("curve")]
    assert len(curves) == len(set(curves)) == 2 * len(TOPICS.joints) + len(sources)
    for curve in curves:
        if curve not in sources:
            assert curve in {
                f"/joint_states/{joint}/{field}" for joint in TOPICS.joints for field in ("position", "velocity")
            }
            continue
        topic, index = re.fullmatch(r"(.+)/data\[(\d+)\]", sources[curve]).groups()
        name = curve.removeprefix("left/mpc_node: ").removeprefix("command ").partition(" [")[0]
        assert name == named(topic, int(index))
    for splitter in root.iter("DockSplitter"):
        assert len(splitter) == int(splitter.get("count")) == len(splitter.get("sizes").split(";"))


def test_a_field_that_is_no_longer_there_is_an_error():
    with pytest.raises(ValueError):
        foxglove_layout(Topics("/mpc_node", ("joint",), STATUS[2:], PROGRESS))
