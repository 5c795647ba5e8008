"""CasADi, imported when the first expression is written.

Expressions are written where functions are built. What runs functions that were built elsewhere (units.py) never
writes one, and needs no CasADi; and a command that plans nothing starts without it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..exceptions import MbrlError


class _Deferred(ModuleType):
    """A module that is imported when something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked for by tools that look at every module
            raise AttributeError(name)
        try:
            module = importlib.import_module(self.__name__)
        except ImportError as error:
            raise MbrlError(
                f"this needs CasADi ({error}), which writes the functions of robot and costs: pip install casadi, "
                "or build them on another machine with `mbrl build` and name its file in the setting `robot.units`"
            ) from None
        value = getattr(module, name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import casadi as casadi
else:
    casadi = _Deferred("casadi")


def by_operation(table: Mapping[str, str]) -> dict[int, str]:
    """Return {operation: text} of {name of CasADi's operation, "OP_ADD": text}."""
    return {getattr(casadi, name): text for name, text in table.items()}
