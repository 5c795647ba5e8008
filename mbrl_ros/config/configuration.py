"""The whole configuration: the core's sections and those of every plug-in, from YAML, ROS parameters or keywords.

Keys are dotted: `planner.horizon`, `cost.point_target.weight`, `prior.integrator.inertia`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from ..exceptions import ConfigurationError, nearest
from . import registry
from .section import Info, Section
from .sections.action import ActionSettings
from .sections.collision import CollisionSettings
from .sections.control import ControlSettings
from .sections.distillation import DistillationSettings
from .sections.dynamics import ConsistencySettings, DelaySettings, DynamicsSettings, FeatureSettings
from .sections.excitation import ExcitationSettings
from .sections.frames import FrameSettings
from .sections.planner import PlannerSettings
from .sections.references import ReferenceSettings
from .sections.robot import RobotSettings
from .sections.safety import MonitorSettings, SupervisorSettings


def section_types() -> dict[str, type[Section]]:
    """Return {prefix: section class} of everything that can be configured, plug-ins included."""
    types = dict(SECTIONS)
    for family in _families():
        types |= {f"{family}.{name}": kind for name, kind in registry.settings_types(family).items()}
    return types


def default_plugins() -> dict[str, dict[str, Section]]:
    """Return {family: {name: its settings with their defaults}} of every plug-in that can be used."""
    return {family: {name: kind() for name, kind in registry.settings_types(family).items()} for family in _families()}


def _families() -> list[str]:
    """Return the families of plug-ins whose settings are the controller's."""
    return [name for name, family in registry.FAMILIES.items() if family.controller]


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Configuration:
    """Every section, checked; those not given hold their defaults. `plugins`: {family: {name: settings}}."""

    robot: RobotSettings = RobotSettings()
    control: ControlSettings = ControlSettings()
    reference: ReferenceSettings = ReferenceSettings()
    frames: FrameSettings = FrameSettings()
    action: ActionSettings = ActionSettings()
    dynamics: DynamicsSettings = DynamicsSettings()
    consistency: ConsistencySettings = ConsistencySettings()
    delay: DelaySettings = DelaySettings()
    features: FeatureSettings = FeatureSettings()
    excitation: ExcitationSettings = ExcitationSettings()
    planner: PlannerSettings = PlannerSettings()
    supervisor: SupervisorSettings = SupervisorSettings()
    monitor: MonitorSettings = MonitorSettings()
    collision: CollisionSettings = CollisionSettings()
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
        """Make it from {"planner.horizon": 30, ...}; an unknown key is an error that names the nearest valid one."""
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
        """Make it from {"planner": PlannerSettings(), "cost.effort": ..., ...}; other sections hold their defaults."""
        core: dict[str, Any] = {}
        plugins = default_plugins()
        for prefix, section in sections.items():
            if prefix in SECTIONS:
                core[prefix] = section
            else:
                family, _, name = prefix.partition(".")
                plugins[family][name] = section
        return cls(**core, plugins=plugins)

    def sections(self) -> dict[str, Section]:
        """Return {prefix: section}, plug-ins included."""
        found: dict[str, Section] = {prefix: getattr(self, prefix) for prefix in SECTIONS}
        for family, group in self.plugins.items():
            found |= {f"{family}.{name}": section for name, section in group.items()}
        return found

    def flat(self) -> dict[str, Any]:
        """Return {"planner.horizon": 30, ...} of every setting."""
        return {
            f"{prefix}.{name}": value
            for prefix, section in self.sections().items()
            for name, value in section.to_mapping().items()
        }

    def replace(self, **changes: Any) -> Configuration:
        """Return a copy with some keys changed; write `__` for the dots of a key."""
        return type(self).from_flat({**self.flat(), **{key.replace("__", "."): v for key, v in changes.items()}})


SECTIONS: dict[str, type[Section]] = {
    field.name: type(field.default) for field in dataclasses.fields(Configuration) if isinstance(field.default, Section)
}


def setting_keys() -> set[str]:
    """Return the key of every setting of a Configuration."""
    return {key for key, _, _ in documented()}


def documented() -> Iterator[tuple[str, Any, Info]]:
    """Yield (key, default, Info) of every setting, in order."""
    for prefix, kind in section_types().items():
        for name, (default, info) in kind.infos().items():
            yield f"{prefix}.{name}", default, info
