"""Scripts that stand outside the package, as modules."""

import importlib.util
import sys
from types import ModuleType

import pytest

from . import ROOT


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script `name`, as ".ci/check.py", imported for one test."""
    path = ROOT / name
    monkeypatch.syspath_prepend(str(path.parent))
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, path.stem, module)
    specification.loader.exec_module(module)
    return module
