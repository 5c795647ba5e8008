"""A folder on sys.path that looks like an installed distribution with plug-ins."""

import sys

from mbrl_ros.config import registry

PLUGIN = """
import dataclasses
from mbrl_ros.config.section import Section, setting

@dataclasses.dataclass(frozen=True)
class Settings(Section):
    weight: float = setting({weight}, "weight of the cost", low=0.0, dynamic=True)
    height: float = setting(0.3, "height of the table", unit="m")

def build(settings, context):
    return {{}}
"""


def installing(tmp_path, monkeypatch):
    """Be the generator of a fixture that installs distributions.

    The fixture is a function of a name, entry points {group: {name: value}} and modules {name: source}.
    """
    imported = []

    def installed(name, entry_points, modules=None):
        folder = tmp_path / name
        metadata = folder / f"{name}-1.2.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (metadata / "entry_points.txt").write_text(
            "".join(
                f"[mbrl_ros.{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items())
                for group, points in entry_points.items()
            )
        )
        for module, source in (modules or {}).items():
            (folder / f"{module}.py").write_text(source)
            imported.append(module)
        monkeypatch.syspath_prepend(folder)
        registry.refresh()

    yield installed
    monkeypatch.undo()
    for module in imported:
        sys.modules.pop(module, None)
    registry.refresh()
