"""Find the shared files (launch/, config/) of this very copy of the package: a checkout or an installation.

A module below PREFIX/lib/... belongs to PREFIX/share/mbrl_ros; one in a checkout belongs to the checkout itself, so
that an editable installation uses the files being edited and not the copies that pip made. No environment variable is
read, so this works in a shell that was not set up for ROS.
"""

from __future__ import annotations

from pathlib import Path

from ..exceptions import ConfigurationError, nearest


def share_directory() -> Path:
    """Return the folder that holds package.xml, launch/ and config/."""
    for folder in Path(__file__).resolve().parents:
        for candidate in (folder, folder / "share" / "mbrl_ros"):
            if (candidate / "package.xml").is_file():
                return candidate
    raise ConfigurationError(
        "the shared files of mbrl_ros (launch, config) are not installed; install the package "
        "with pip or colcon instead of copying its modules",
        source=str(Path(__file__).parent),
    )


def config_file(name: str) -> Path:
    """Return a file of config/ by its name, with or without '.yaml'; an error names the nearest name."""
    folder = share_directory() / "config"
    path = folder / (name if name.endswith(".yaml") else f"{name}.yaml")
    if not path.is_file():
        known = sorted(entry.stem for entry in folder.glob("*.yaml"))
        raise ConfigurationError(
            f"no configuration named '{name}'; there are {known}; did you mean '{nearest(name, known)}'?",
            value=name,
            source=str(folder),
        )
    return path


def settings_path(name: str) -> Path:
    """Return the file of settings that a user names: a YAML file, or a name from config/."""
    path = Path(name)
    if path.suffix in (".urdf", ".xacro"):
        raise ConfigurationError(
            f"'{name}' is no file of settings; write one for this robot: mbrl init --urdf {name}", value=name
        )
    if path.suffix in (".yaml", ".yml") and (path.exists() or path.parent != Path()):
        return path
    if path.suffix in (".yaml", ".yml") and not (share_directory() / "config" / name).is_file():
        raise ConfigurationError(
            f"there is no file '{name}' in this folder; give the path of an existing file, or a name from config/",
            value=name,
        )
    if path.suffix not in (".yaml", ".yml") and path.parent != Path():
        raise ConfigurationError(
            f"'{name}' is neither a file of settings (.yaml) nor a URDF (.urdf, .xacro), and no name from config/",
            value=name,
        )
    return config_file(name)
