"""Settings as ROS parameters: each declared once, with the type, default, bounds and description of its `Info`.

Keys are those of the configuration (`planner.horizon`), and those of the node's own section without a prefix. Values
are judged by the settings themselves, so a launch file, YAML and `ros2 param set` meet the same checks and messages.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..config.section import Info, Section
from ..exceptions import ConfigurationError, nearest

KINDS = {
    bool: Parameter.Type.BOOL,
    int: Parameter.Type.INTEGER,
    float: Parameter.Type.DOUBLE,
    str: Parameter.Type.STRING,
    tuple[float, ...]: Parameter.Type.DOUBLE_ARRAY,
    tuple[str, ...]: Parameter.Type.STRING_ARRAY,
}
# Parameters every node has, which are nobody's setting.
OF_ROS = ("use_sim_time", "start_type_description_service")
OF_ROS_PREFIX = "qos_overrides."


class Parameters:
    """The sections {prefix: class} of a node as declared parameters. "" is the prefix of its own section.

    The node must be made with automatically_declare_parameters_from_overrides=True: that is how overrides can be read,
    corrected (a whole number for a real one, a single entry for a list) and refused before anything is declared.
    """

    def __init__(self, node: Node, sections: Mapping[str, type[Section]]):
        self._node = node
        self._kinds = dict(sections)
        self._owner = {_key(prefix, name): prefix for prefix, kind in sections.items() for name in kind.infos()}
        overrides = {
            name: parameter.value
            for name, parameter in node.get_parameters_by_prefix("").items()
            if name not in OF_ROS and not name.startswith(OF_ROS_PREFIX)
        }
        for name in overrides:
            node.undeclare_parameter(name)
        self.sections = self._build(overrides, source="parameters")
        for prefix, section in self.sections.items():
            for name, kind in typing.get_type_hints(type(section)).items():
                _, info = type(section).infos()[name]
                value = getattr(section, name)
                node.declare_parameter(
                    _key(prefix, name),
                    list(value) if isinstance(value, tuple) else value,
                    _descriptor(kind, info),
                    ignore_override=True,
                )

    def on_change(self, apply: Callable[[dict[str, Section]], None]) -> None:
        """Call `apply(sections)` after dynamic parameters were set; what the settings refuse is refused."""
        self._node.add_on_set_parameters_callback(self._judge)
        self._node.add_post_set_parameters_callback(lambda parameters: self._take(parameters, apply))

    def flat(self) -> dict[str, Any]:
        """{key: value} of all sections but the node's own."""
        return {
            _key(prefix, name): value
            for prefix, section in self.sections.items()
            if prefix
            for name, value in section.to_mapping().items()
        }

    def _build(self, values: Mapping[str, Any], source: str) -> dict[str, Section]:
        groups: dict[str, dict[str, Any]] = {prefix: {} for prefix in self._kinds}
        for key, value in values.items():
            if key not in self._owner:
                raise ConfigurationError(
                    f"unknown parameter '{key}'; did you mean '{nearest(key, self._owner)}'?",
                    key=key,
                    value=value,
                    source=source,
                )
            prefix = self._owner[key]
            groups[prefix][key[len(prefix) + 1 :] if prefix else key] = value
        return {
            prefix: kind.from_mapping(groups[prefix], prefix=prefix + "." if prefix else "", source=source)
            for prefix, kind in self._kinds.items()
        }

    def _changed(self, parameters: list[Parameter]) -> dict[str, Section]:
        mine = {p.name: p.value for p in parameters if p.name in self._owner}
        values = {
            _key(prefix, name): value
            for prefix, section in self.sections.items()
            for name, value in section.to_mapping().items()
        }
        return self._build({**values, **mine}, source="parameters")

    def _judge(self, parameters: list[Parameter]) -> SetParametersResult:
        try:
            self._changed(parameters)
        except ConfigurationError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _take(self, parameters: list[Parameter], apply: Callable[[dict[str, Section]], None]) -> None:
        if any(p.name in self._owner for p in parameters):
            self.sections = self._changed(parameters)
            apply(self.sections)


def _key(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _descriptor(kind: Any, info: Info) -> ParameterDescriptor:
    """Bounds of single numbers go into the ranges ROS knows, everything else into the constraints' text."""
    descriptor = ParameterDescriptor(
        type=KINDS[kind].value,
        read_only=not info.dynamic,
        description=info.doc + (f" [{info.unit}]" if info.unit else ""),
    )
    bounded = (info.low, info.high) != (-float("inf"), float("inf"))
    if kind is float and bounded:
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(info.low), to_value=float(info.high))]
    elif kind is int and bounded:
        most = 2**63 - 1
        descriptor.integer_range = [
            IntegerRange(from_value=int(max(info.low, -most)), to_value=int(min(info.high, most)))
        ]
    elif bounded:
        descriptor.additional_constraints = f"every entry in [{info.low:g}, {info.high:g}]"
    if info.choices:
        descriptor.additional_constraints = "one of " + ", ".join(map(str, info.choices))
    if info.per_joint:
        descriptor.additional_constraints += "; one entry, or one per joint"
    return descriptor
