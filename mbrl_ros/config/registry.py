"""Find plug-ins by file: every module of a folder that defines `Settings` and `build` is one, named like its file."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from ..exceptions import ConfigurationError, nearest


def names(package: str) -> list[str]:
    """Names of the plug-ins in `package` ("costs", "dynamics.priors", ...), sorted; nothing is imported but the package."""
    folder = importlib.import_module(f"mbrl_ros.{package}")
    return sorted(
        info.name
        for info in pkgutil.iter_modules(folder.__path__)
        if not info.ispkg and not info.name.startswith("_") and info.name not in getattr(folder, "NOT_PLUGINS", ())
    )


def load(package: str, name: str) -> ModuleType:
    """The plug-in's module; an unknown name is an error that names the nearest one."""
    known = names(package)
    if name not in known:
        raise ConfigurationError(
            f"no {package} named '{name}'; there are {known}; did you mean '{nearest(name, known)}'?",
            key=package,
            value=name,
        )
    return importlib.import_module(f"mbrl_ros.{package}.{name}")
