"""The whole configuration: the core's sections and those of every plug-in, from YAML, ROS parameters or keywords.

Keys are dotted: `planner.horizon`, `cost.point_target.weight`, `prior.integrator.inertia`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..exceptions import ConfigurationError, nearest
from . import registry
from .section import Info, Section
from .sections.control import ControlSettings
from .sections.distillation import DistillationSettings
from .sections.dynamics import ConsistencySettings, DelaySettings, DynamicsSettings, FeatureSettings
from .sections.nodes import NodeSettings
from .sections.planner import PlannerSettings
from .sections.references import ReferenceSettings
from .sections.robot import RobotSettings
from .sections.safety import SupervisorSettings


def section_types() -> dict[str, type[Section]]:
    """Give {prefix: section class} of everything that can be configured, plug-ins included."""
    types = dict(SECTIONS)
    for family in registry.FAMILIES:
        types |= {f"{family}.{name}": kind for name, kind in registry.settings_types(family).items()}
    return types


def default_plugins() -> dict[str, dict[str, Section]]:
    """Give {family: {name: its settings with their defaults}} of every plug-in that can be used."""
    return {
        family: {name: kind() for name, kind in registry.settings_types(family).items()} for family in registry.FAMILIES
    }


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Configuration:
    """Every section, checked; those not given hold their defaults. `plugins`: {family: {name: settings}}."""

    robot: RobotSettings = RobotSettings()
    control: ControlSettings = ControlSettings()
    reference: ReferenceSettings = ReferenceSettings()
    dynamics: DynamicsSettings = DynamicsSettings()
    consistency: ConsistencySettings = ConsistencySettings()
    delay: DelaySettings = DelaySettings()
    features: FeatureSettings = FeatureSettings()
    planner: PlannerSettings = PlannerSettings()
    supervisor: SupervisorSettings = SupervisorSettings()
    distillation: DistillationSettings = DistillationSettings()
    plugins: Mapping[str, Mapping[str, Section]] = dataclasses.field(default_factory=default_plugins)

    @property
    def costs(self) -> Mapping[str, Section]:
        """The settings of every cost by its name."""
        return self.plugins["cost"]

    @property
    def priors(self) -> Mapping[str, Section]:
        """The settings of every prior by its name."""
        return self.plugins["prior"]

    @property
    def controllers(self) -> Mapping[str, Section]:
        """The settings of every controller by its name."""
        return self.plugins["controller"]

    @property
    def planners(self) -> Mapping[str, Section]:
        """The settings of every planner by its name."""
        return self.plugins["planner"]

    @classmethod
    def from_flat(cls, values: Mapping[str, Any], *, source: str = "") -> Configuration:
        """From {"planner.horizon": 30, ...}; an unknown key is an error that names the nearest valid one."""
        types = section_types()
        known = {f"{prefix}.{name}": prefix for prefix, kind in types.items() for name in kind.infos()}
        groups: dict[str, dict[str, Any]] = {prefix: {} for prefix in types}
        for key, value in values.items():
            if key not in known:
                registry.explain(key)
                raise ConfigurationError(
                    f"unknown setting '{key}'; did you mean '{nearest(key, known)}'?",
                    key=key,
                    value=value,
                    source=source,
                )
            prefix = known[key]
            groups[prefix][key[len(prefix) + 1 :]] = value
        return cls.from_sections(
            {
                prefix: kind.from_mapping(groups[prefix], prefix=prefix + ".", source=source)
                for prefix, kind in types.items()
            }
        )

    @classmethod
    def from_sections(cls, sections: Mapping[str, Section]) -> Configuration:
        """From {"planner": PlannerSettings(), "cost.effort": ..., ...}; what is not given holds its defaults."""
        core: dict[str, Any] = {}
        plugins = default_plugins()
        for prefix, section in sections.items():
            if prefix in SECTIONS:
                core[prefix] = section
            else:
                family, _, name = prefix.partition(".")
                plugins[family][name] = section
        return cls(**core, plugins=plugins)

    @classmethod
    def load(cls, path: str | Path, overrides: Mapping[str, Any] | None = None) -> Configuration:
        """From a YAML file, either plain sections or the ROS 2 form (`NODE: ros__parameters:`).

        What concerns only mpc_node (config/sections/nodes.py) is left out.
        """
        values = {key: value for key, value in read_yaml(path).items() if key not in NodeSettings.infos()}
        return cls.from_flat({**values, **(overrides or {})}, source=str(path))

    def sections(self) -> dict[str, Section]:
        """Give {prefix: section}, plug-ins included."""
        found: dict[str, Section] = {prefix: getattr(self, prefix) for prefix in SECTIONS}
        for family, group in self.plugins.items():
            found |= {f"{family}.{name}": section for name, section in group.items()}
        return found

    def flat(self) -> dict[str, Any]:
        """{"planner.horizon": 30, ...} of every setting."""
        return {
            f"{prefix}.{name}": value
            for prefix, section in self.sections().items()
            for name, value in section.to_mapping().items()
        }

    def replace(self, **changes: Any) -> Configuration:
        """A copy with dotted keys changed; write `__` for the dots of a key."""
        return type(self).from_flat({**self.flat(), **{key.replace("__", "."): v for key, v in changes.items()}})


SECTIONS: dict[str, type[Section]] = {
    field.name: type(field.default) for field in dataclasses.fields(Configuration) if isinstance(field.default, Section)
}


def documented() -> Iterator[tuple[str, Any, Info]]:
    """(key, default, Info) of every setting, in order."""
    for prefix, kind in section_types().items():
        for name, (default, info) in kind.infos().items():
            yield f"{prefix}.{name}", default, info


def read_yaml(path: str | Path, node: str = "mpc_node") -> dict[str, Any]:
    """The flat settings of a YAML file: those under `/**`, then `node`'s own; other nodes' entries are left out."""
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot be read: {error}", source=str(path)) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationError("must hold a mapping of sections", source=str(path))
    blocks = [
        (name, block["ros__parameters"] or {})
        for name, block in content.items()
        if isinstance(block, dict) and "ros__parameters" in block
    ]
    if not blocks:
        return dict(_flattened(content))
    chosen: dict[str, Any] = {}
    for wanted in ("/**", node):
        for name, block in blocks:
            if name.rsplit("/", 1)[-1] == wanted.rsplit("/", 1)[-1]:
                chosen.update(_flattened(block))
    return chosen


def _flattened(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
