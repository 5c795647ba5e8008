"""Plug-ins: costs, priors, controllers, planners, methods of vision, found by name here and in installed packages.

A plug-in is a module that holds

    Settings    a subclass of `Section`: its settings; FAMILY.NAME.KEY in YAML, `cost.effort.weight` for instance
    build       a function; what it takes and returns is told by the Protocol of its family

It is found (a) as a module of the family's own folder, where its file gives the name, or (b) as an entry point of
another distribution, which names a module. In the pyproject.toml of such a package:

    [project.entry-points."mbrl_ros.costs"]
    tool_upright = "my_package.tool_upright"

A plug-in of another package that cannot be used harms only those who name it; `problems` lists all of them.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import importlib.metadata
from pathlib import Path
from types import ModuleType

from ..exceptions import ConfigurationError, nearest
from .section import Section

REQUIRED = ("Settings", "build")
ROOT = Path(__file__).parent.parent


@dataclasses.dataclass(frozen=True)
class Family:
    """One kind of plug-in.

    group: entry-point group of other packages; package: the folder of the built-in ones. off: a setting that must be 0
    by default in plug-ins of other packages, so that installing one changes the behavior of no robot; "" for none.
    controller: its settings are among the controller's; those of the others belong to a node of their own.
    """

    group: str
    package: str
    off: str = ""
    controller: bool = True


# {the first word of the settings' names: the family}. Another family is one more line.
FAMILIES = {
    "cost": Family("mbrl_ros.costs", "mbrl_ros.costs", off="weight"),
    "prior": Family("mbrl_ros.priors", "mbrl_ros.dynamics.priors"),
    "controller": Family("mbrl_ros.controllers", "mbrl_ros.controllers"),
    "planner": Family("mbrl_ros.planners", "mbrl_ros.planners"),
    "vision": Family("mbrl_ros.vision", "mbrl_ros.vision", controller=False),
}


@dataclasses.dataclass(frozen=True)
class Plugin:
    """Where a plug-in was found: its module and the distribution it comes from ("" for this package)."""

    family: str
    name: str
    module: str
    distribution: str = ""
    problem: str = ""

    def error(self, problem: str) -> ConfigurationError:
        """Say that it cannot be used, and why."""
        return ConfigurationError(
            f"the {self.family} '{self.name}' of {self.distribution} cannot be used: {problem}",
            key=f"{self.family}.{self.name}",
            value=self.module,
        )


def names(family: str) -> list[str]:
    """Return the names of a family's plug-ins: the built-in ones in order, then those of other packages in order."""
    return list(_found(family))


def load(family: str, name: str) -> ModuleType:
    """Import the module of a plug-in.

    Raises
    ------
    ConfigurationError
        There is no plug-in of this name (the nearest one is named), or it cannot be used (its distribution is named).
    """
    found = _found(family)
    if name not in found:
        raise ConfigurationError(
            f"no {family} named '{name}'; there are {list(found)}; did you mean '{nearest(name, found)}'?",
            key=family,
            value=name,
        )
    plugin = found[name]
    if not plugin.distribution:
        return importlib.import_module(plugin.module)
    module = _imported(plugin)
    if isinstance(module, ConfigurationError):
        raise module
    return module


def settings_types(family: str) -> dict[str, type[Section]]:
    """{name: its `Settings`} of the plug-ins of a family that can be used."""
    types: dict[str, type[Section]] = {}
    for name, plugin in _found(family).items():
        if not plugin.distribution or isinstance(_imported(plugin), ModuleType):
            types[name] = load(family, name).Settings
    return types


def explain(key: str) -> None:
    """Raise the ConfigurationError of the plug-in that the setting `key` belongs to, if that cannot be used."""
    family, _, rest = key.partition(".")
    name = rest.partition(".")[0]
    if family in FAMILIES and name in _found(family):
        load(family, name)


def problems() -> list[str]:
    """Describe every plug-in of another package that cannot be used, one line each."""
    lines = []
    for family in FAMILIES:
        lines += [str(plugin.error(plugin.problem)) for plugin in _hidden(family)]
        for plugin in _found(family).values():
            module = _imported(plugin) if plugin.distribution else None
            lines += [str(module)] if isinstance(module, ConfigurationError) else []
    return lines


def refresh() -> None:
    """Look for plug-ins again: a package was installed or removed while this process runs."""
    for cached in (_found, _hidden, _imported):
        cached.cache_clear()


@functools.cache
def _found(family: str) -> dict[str, Plugin]:
    """Return {name: plugin}; a name that two other packages use has a problem."""
    known = {name: Plugin(family, name, f"{FAMILIES[family].package}.{name}") for name in _built_in(family)}
    outside: dict[str, Plugin] = {}
    for plugin in _entry_points(family):
        if plugin.name in known:
            continue
        other = outside.get(plugin.name)
        if other is not None:
            both = f"{other.distribution} and {plugin.distribution}"
            plugin = dataclasses.replace(
                plugin, distribution=both, problem="both packages use this name; uninstall one of them"
            )
        outside[plugin.name] = plugin
    return known | outside


@functools.cache
def _hidden(family: str) -> list[Plugin]:
    """Plug-ins of other packages that have the name of a built-in one, which stays in use."""
    built_in = _built_in(family)
    text = f"mbrl_ros has a {family} of this name, which stays in use; rename the entry point"
    return [dataclasses.replace(x, problem=text) for x in _entry_points(family) if x.name in built_in]


def _entry_points(family: str) -> list[Plugin]:
    """Plug-ins of other packages, by name and distribution."""
    found = []
    for point in importlib.metadata.entry_points(group=FAMILIES[family].group):
        distribution = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"
        problem = ""
        if not point.name.isidentifier():
            problem = "its name must consist of letters, digits and underscores, as in an identifier"
        elif point.attr:
            problem = f"its entry point must name a module, got '{point.value}'; write {point.name} = {point.module}"
        found.append(Plugin(family, point.name, point.module, distribution, problem))
    return sorted(found, key=lambda plugin: (plugin.name, plugin.distribution))


@functools.cache
def _imported(plugin: Plugin) -> ModuleType | ConfigurationError:
    """Import the module of another package's plug-in, or tell what is wrong with it."""
    if plugin.problem:
        return plugin.error(plugin.problem)
    try:
        module = importlib.import_module(plugin.module)
        problem = _defect(module, FAMILIES[plugin.family].off)
    except Exception as error:  # of any kind: it is another package's code
        problem = f"{plugin.module} fails with {type(error).__name__}: {error}"
    return plugin.error(problem) if problem else module


def _defect(module: ModuleType, off: str) -> str:
    """Say what a plug-in lacks; "" if nothing."""
    missing = [name for name in REQUIRED if name not in vars(module)]
    if missing:
        return f"{module.__name__} does not define {' and '.join(missing)}"
    settings, build = (vars(module)[name] for name in REQUIRED)
    if not (isinstance(settings, type) and issubclass(settings, Section) and dataclasses.is_dataclass(settings)):
        return f"{module.__name__}.Settings is not a dataclass derived from mbrl_ros.config.section.Section"
    if not callable(build):
        return f"{module.__name__}.build is not a function"
    defaults = settings().to_mapping()
    if off and off not in defaults:
        return f"{module.__name__}.Settings has no setting '{off}'"
    if off and defaults[off] != 0.0:
        return (
            f"the default of {module.__name__}.Settings.{off} must be 0, so that installing the package changes the "
            f"behavior of no robot, got {defaults[off]:g}"
        )
    return ""


@functools.cache
def _built_in(family: str) -> tuple[str, ...]:
    """Name the modules of the family's folder whose source defines `Settings` and `build`; none of them is imported."""
    folder = ROOT.joinpath(*FAMILIES[family].package.split(".")[1:])
    modules = {path.stem: path for path in folder.glob("[a-z]*.py")}
    modules |= {path.parent.name: path for path in folder.glob("[a-z]*/__init__.py")}
    return tuple(sorted(name for name, path in modules.items() if set(REQUIRED) <= _defined(path)))


def _defined(path: Path) -> set[str]:
    """Collect the names that a module's source binds at its top level."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names
