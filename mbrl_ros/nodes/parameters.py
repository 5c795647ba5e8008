"""Declare settings as ROS parameters, each once, with the type, default, bounds and description of its `Info`.

Keys are those of the configuration (`planner.horizon`); those of the node's own section have no prefix. The settings
themselves check every value, so that a launch file, a YAML file and `ros2 param set` meet the same checks and messages.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.parameter import Parameter

from ..config import registry
from ..config.section import Info, Section, is_empty
from ..config.settings_file import belongs_to_ros, unknown_setting
from ..exceptions import ConfigurationError

ROS_TYPES = {
    bool: Parameter.Type.BOOL,
    int: Parameter.Type.INTEGER,
    float: Parameter.Type.DOUBLE,
    str: Parameter.Type.STRING,
    tuple[float, ...]: Parameter.Type.DOUBLE_ARRAY,
    tuple[str, ...]: Parameter.Type.STRING_ARRAY,
}
AT_START = ("autostart", "end_with_parent")  # read when the process starts, and never again
S = TypeVar("S", bound=Section)


class ReadsOverrides:
    """A base of nodes, before Node, whose overrides are read by `Parameters`; an empty list among them is no error.

    An empty list has no type, and rclpy ends with a traceback where it should declare one. Here it means the default.
    """

    def __init__(self, name: str, **options: Any):
        """Make the node; options: those of rclpy.node.Node."""
        self.empty_overrides: list[str] = []
        super().__init__(name, automatically_declare_parameters_from_overrides=True, **options)  # type: ignore[call-arg]  # Node's

    def declare_parameters(
        self, namespace: str, parameters: list[tuple[Any, ...]], ignore_override: bool = False
    ) -> Any:
        """Declare parameters as a Node does, and keep the names of those without a type."""
        typed = [entry for entry in parameters if len(entry) < 2 or entry[1] is not None]
        self.empty_overrides += [entry[0] for entry in parameters if entry not in typed]
        return super().declare_parameters(namespace, typed, ignore_override)  # type: ignore[misc]  # Node's


class Parameters:
    """The settings of a node, declared as its parameters.

    `sections` holds their present values by prefix; "" is the prefix of the node's own section. `given` holds the keys
    that were set, by an override or later, and do not have their value by default.
    """

    def __init__(self, node: Any, sections: Mapping[str, type[Section]], in_use: Callable[[], bool] | None = None):
        """Read, check and declare the parameters of `sections` {prefix: class}.

        The node's class must derive from ReadsOverrides: so overrides can be read, corrected (a whole number where a
        real one is meant, a single entry where a list is meant) and rejected before anything is declared.

        Parameters
        ----------
        node
            the node.
        sections
            {prefix: class} of its settings.
        in_use
            tells whether the node has been built from its settings: parameters that are not dynamic can change while it
            has not. None: they never change.

        Raises
        ------
        ConfigurationError
            An override is unknown or not allowed.
        """
        self._node = node
        self._kinds, self._in_use = dict(sections), in_use
        self._owner = {_key(prefix, name): prefix for prefix, kind in sections.items() for name in kind.infos()}
        overrides = {
            name: node.get_parameter(name).value
            for name in node.get_parameters_by_prefix("")
            if not belongs_to_ros(name)
        }
        for name in overrides:
            node.undeclare_parameter(name)
        overrides |= {name: [] for name in node.empty_overrides}
        for problem in registry.problems() if "control" in sections else ():
            node.get_logger().warning(problem)
        self.sections = self._build(overrides, source="parameters")
        self.given = {name for name, value in overrides.items() if not is_empty(value)}
        for prefix, section in self.sections.items():
            kinds, infos = typing.get_type_hints(type(section)), section.infos()
            for name, value in section.to_mapping().items():
                node.declare_parameter(
                    _key(prefix, name),
                    list(value) if isinstance(value, tuple) else value,
                    _descriptor(kinds[name], infos[name][1], fixed=in_use is None or _key(prefix, name) in AT_START),
                    ignore_override=True,
                )

    def section(self, kind: type[S]) -> S:
        """Return the section of class `kind` with its present values."""
        return next(section for section in self.sections.values() if isinstance(section, kind))

    def on_change(self, apply: Callable[[dict[str, Section]], None]) -> None:
        """Call `apply(sections)` after dynamic parameters were set; reject values that the settings do not allow."""
        self._node.add_on_set_parameters_callback(self._check)
        self._node.add_post_set_parameters_callback(lambda parameters: self._apply(parameters, apply))

    def flat(self) -> dict[str, Any]:
        """Return {key: value} of all sections but the node's own."""
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
                raise ConfigurationError(unknown_setting(key, self._owner), key=key, value=value, source=source)
            prefix = self._owner[key]
            groups[prefix][key[len(prefix) + 1 :] if prefix else key] = value
        return {
            prefix: kind.from_mapping(groups[prefix], prefix=prefix + "." if prefix else "", source=source)
            for prefix, kind in self._kinds.items()
        }

    def _changed(self, parameters: list[Parameter]) -> dict[str, Section]:
        given = {p.name: p.value for p in parameters if p.name in self._owner}
        values = {
            _key(prefix, name): value
            for prefix, section in self.sections.items()
            for name, value in section.to_mapping().items()
        }
        return self._build({**values, **given}, source="parameters")

    def _check(self, parameters: list[Parameter]) -> SetParametersResult:
        in_use = self._in_use is not None and self._in_use()
        for parameter in parameters:
            if in_use and parameter.name in self._owner and not self._info(parameter.name).dynamic:
                return SetParametersResult(
                    successful=False,
                    reason=f"'{parameter.name}' is in use and can change only while the node is unconfigured "
                    f"(ros2 lifecycle set {self._node.get_fully_qualified_name()} cleanup)",
                )
        try:
            self._changed(parameters)
        except ConfigurationError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply(self, parameters: list[Parameter], apply: Callable[[dict[str, Section]], None]) -> None:
        if any(p.name in self._owner for p in parameters):
            self.sections = self._changed(parameters)
            self.given |= {p.name for p in parameters if p.name in self._owner and not is_empty(p.value)}
            apply(self.sections)

    def _info(self, key: str) -> Info:
        prefix = self._owner[key]
        return self._kinds[prefix].infos()[key[len(prefix) + 1 :] if prefix else key][1]


def _key(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _descriptor(kind: Any, info: Info, fixed: bool) -> ParameterDescriptor:
    """Describe one parameter: bounds of single numbers as ranges of ROS, everything else as text of the constraints.

    fixed: it never changes unless it is dynamic.
    """
    descriptor = ParameterDescriptor(
        type=ROS_TYPES[kind].value,
        read_only=fixed and not info.dynamic,
        description=info.doc + (f" [{info.unit}]" if info.unit else ""),
    )
    bounded = (info.low, info.high) != (-float("inf"), float("inf"))
    if kind is float and bounded:
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(info.low), to_value=float(info.high))]
    elif kind is int and bounded:
        largest = 2**63 - 1
        descriptor.integer_range = [
            IntegerRange(from_value=int(max(info.low, -largest)), to_value=int(min(info.high, largest)))
        ]
    elif bounded:
        descriptor.additional_constraints = f"every entry in [{info.low:g}, {info.high:g}]"
    if info.choices:
        descriptor.additional_constraints = "one of " + ", ".join(map(str, info.choices))
    if info.per_joint:
        descriptor.additional_constraints += "; one entry, or one per joint"
    return descriptor
