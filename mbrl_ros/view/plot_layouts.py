"""Layouts of Foxglove and PlotJuggler in which every value of the controller has its name.

`~/status` and `~/target_progress` are flat arrays of a standard type. Both tools show an element of an array by its
index; a layout gives it its name and unit, live and for recordings alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

CURVE_COLORS = (
    "#1f77b4",
    "#ff7f0e",
    "#2ca02c",
    "#d62728",
    "#9467bd",
    "#8c564b",
    "#e377c2",
    "#7f7f7f",
    "#bcbd22",
    "#17becf",
)
# Of the fields of ~/status and ~/target_progress, those that a plot shows, by the title of the plot.
STATUS_PLOTS = {
    "Time of a tick": ("latency_ms", "compute_ms", "period_ms"),
    "Prediction error": ("nis", "nis_bound"),
    "Counters": ("missed", "rejected", "targets"),
    "States": ("supervisor_state", "supervisor_reasons", "decision_status", "planner_status"),
    "Plan": ("planner_iterations", "cost"),
    "Posture": ("posture_error",),
}
PROGRESS_PLOTS = {"Target": ("distance", "angle", "joint_distance", "trust")}
TABS = {
    "Robot": ("Positions", "Velocities", "Commands"),
    "Controller": ("Time of a tick", "Prediction error", "Counters", "States"),
    "Target": ("Target", "Posture", "Plan"),
}
UNITS = {
    "posture_error": "rad or m",
    "distance": "m",
    "angle": "rad",
    "joint_distance": "rad or m",
}


@dataclass(frozen=True)
class Curve:
    """One value over time: `name` with its unit, and where it is: an element of an array of a topic, or a joint's."""

    name: str
    topic: str
    field: str
    index: int
    joint: str = ""  # of a JointState, whose order is the driver's


@dataclass(frozen=True)
class Topics:
    """What a layout shows: full names of topics, and the fields of the flat ones in their order."""

    node: str
    joints: tuple[str, ...]
    status_fields: tuple[str, ...]
    progress_fields: tuple[str, ...]
    joint_states: str = "/joint_states"
    commands: str = "/commands"
    robot_description: str = "/robot_description"
    diagnostics: str = "/diagnostics"
    ghost: str = "/display_node/ghost"


def plots_of(topics: Topics) -> dict[str, list[Curve]]:
    """Return {title: curves} of all plots."""
    plots: dict[str, list[Curve]] = {
        title: [Curve(joint, topics.joint_states, field, i, joint) for i, joint in enumerate(topics.joints)]
        for title, field in (("Positions", "position"), ("Velocities", "velocity"))
    }
    plots["Commands"] = [Curve(f"command {joint}", topics.commands, "data", i) for i, joint in enumerate(topics.joints)]
    for titles, topic, fields in (
        (STATUS_PLOTS, f"{topics.node}/status", topics.status_fields),
        (PROGRESS_PLOTS, f"{topics.node}/target_progress", topics.progress_fields),
    ):
        for title, names in titles.items():
            plots[title] = [Curve(_with_unit(name), topic, "data", fields.index(name)) for name in names]
    return plots


def foxglove_layout(topics: Topics) -> str:
    """Return a layout of Foxglove as JSON: the robot with plan and target, the plots, states, messages, diagnostics."""
    plots = plots_of(topics)
    panels: dict[str, object] = {"3D!robot": _scene(topics)}
    for title, curves in plots.items():
        panels[_plot_id(title)] = _foxglove_plot(title, curves)
    panels["RawMessages!message"] = {"topicPath": f"{topics.node}/message.data", "foxglovePanelTitle": "Messages"}
    panels["DiagnosticSummary!all"] = {"topicToRender": topics.diagnostics, "minLevel": 0, "sortByLevel": True}
    tabs = [
        {"title": title, "layout": _stack([_plot_id(plot) for plot in names], "column")}
        for title, names in TABS.items()
    ]
    panels["Tab!plots"] = {"activeTabIdx": 1, "tabs": tabs}
    said = _stack(["RawMessages!message", "DiagnosticSummary!all"], "row")
    layout = {
        "configById": panels,
        "globalVariables": {},
        "userNodes": {},
        "playbackConfig": {"speed": 1},
        "layout": {
            "direction": "row",
            "splitPercentage": 45,
            "first": _stack(["3D!robot", said], "column", 70),
            "second": "Tab!plots",
        },
    }
    return json.dumps(layout, indent=1) + "\n"


def plotjuggler_layout(topics: Topics) -> str:
    """Return a layout of PlotJuggler as XML; each element of a flat array is a time series of its name."""
    plots = plots_of(topics)
    root = ElementTree.Element("root")
    tabs = ElementTree.SubElement(root, "tabbed_widget", {"parent": "main_window", "name": "Main Window"})
    for title, names in TABS.items():
        tab = ElementTree.SubElement(tabs, "Tab", tab_name=title, containers="1")
        container = ElementTree.SubElement(tab, "Container")
        part = f"{1.0 / len(names):.6f}"
        splitter = ElementTree.SubElement(
            container, "DockSplitter", orientation="-", count=str(len(names)), sizes=";".join([part] * len(names))
        )
        for name in names:
            _plotjuggler_plot(ElementTree.SubElement(splitter, "DockArea", name=name), plots[name], topics)
    ElementTree.SubElement(tabs, "currentTabIndex", index="0")
    ElementTree.SubElement(root, "use_relative_time_offset", enabled="1")
    equations = ElementTree.SubElement(root, "customMathEquations")
    for curve in (curve for curves in plots.values() for curve in curves if not curve.joint):
        snippet = ElementTree.SubElement(equations, "snippet", name=_series(curve, topics), language="lua")
        ElementTree.SubElement(snippet, "global")
        ElementTree.SubElement(snippet, "function").text = "return value"
        ElementTree.SubElement(snippet, "linked_source").text = f"{curve.topic}/{curve.field}[{curve.index}]"
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _with_unit(field: str) -> str:
    return f"{field} [{UNITS[field]}]" if field in UNITS else field


def _plot_id(title: str) -> str:
    return f"Plot!{title.lower().replace(' ', '_')}"


def _stack(panels: Sequence[object], direction: str, share: float | None = None) -> object:
    """Return panels one after the other as the nested halves that a layout of Foxglove is."""
    first, *rest = panels
    if not rest:
        return first
    percent = share if share is not None else 100.0 / len(panels)
    return {"direction": direction, "splitPercentage": percent, "first": first, "second": _stack(rest, direction)}


def _scene(topics: Topics) -> dict[str, object]:
    return {
        "foxglovePanelTitle": "Robot",
        "followMode": "follow-none",
        "scene": {"transforms": {"showLabel": False, "axisScale": 0.2}},
        "cameraState": {"distance": 2.0, "perspective": True, "phi": 65, "thetaOffset": 60, "target": [0, 0, 0.4]},
        "topics": {
            topic: {"visible": True}
            for topic in (f"{topics.node}/markers", f"{topics.node}/capsules", topics.ghost, topics.joint_states)
        },
        "layers": {
            "robot": {
                "instanceId": "robot",
                "layerId": "foxglove.Urdf",
                "label": "Robot",
                "visible": True,
                "sourceType": "topic",
                "topic": topics.robot_description,
            },
            "grid": {"instanceId": "grid", "layerId": "foxglove.Grid", "label": "Grid", "visible": True, "size": 4},
        },
    }


def _foxglove_plot(title: str, curves: Iterable[Curve]) -> dict[str, object]:
    return {
        "foxglovePanelTitle": title,
        "paths": [
            {
                "value": f"{curve.topic}.{curve.field}[{curve.index}]",
                # the order of joints in a JointState is the driver's, so that its index says nothing of the name
                "label": f"{curve.field}[{curve.index}]" if curve.joint else curve.name,
                "enabled": True,
                "timestampMethod": "receiveTime",
            }
            for curve in curves
        ],
        "showLegend": True,
        "legendDisplay": "left",
        "showPlotValuesInLegend": True,
        "isSynced": True,
        "xAxisVal": "timestamp",
        "showXAxisLabels": True,
        "showYAxisLabels": True,
        "sidebarDimension": 200,
    }


def _series(curve: Curve, topics: Topics) -> str:
    if curve.joint:
        return f"{curve.topic}/{curve.joint}/{curve.field}"
    return f"{topics.node.lstrip('/')}: {curve.name}"


def _plotjuggler_plot(area: ElementTree.Element, curves: Iterable[Curve], topics: Topics) -> None:
    plot = ElementTree.SubElement(area, "plot", mode="TimeSeries", style="Lines", flip_x="false", flip_y="false")
    ElementTree.SubElement(plot, "limitY")
    for number, curve in enumerate(curves):
        ElementTree.SubElement(
            plot, "curve", name=_series(curve, topics), color=CURVE_COLORS[number % len(CURVE_COLORS)]
        )
