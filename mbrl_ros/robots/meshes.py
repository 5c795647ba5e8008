"""A robot's shapes for programs that draw it: where the files behind a URDF's mesh URIs stand."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Collection
from pathlib import Path

from . import urdf
from .document import parsed
from .sources import ROBOT_DATA, package_data_roots

DRAWABLE = (".dae", ".stl", ".obj")  # what RViz and Gazebo read


def shaped(text: str, joints: Collection[str], folder: Path | None = None) -> ElementTree.Element:
    """Write the URDF `text` with `joints` movable, every other joint fixed, and all meshes named by their full path.

    Shapes whose mesh is nowhere are left out. `folder` is the one that relative mesh names refer to.
    """
    root, source = urdf.reduced(text, joints), parsed(text)
    root.extend(source.findall("material"))
    for link, full in zip(root.findall("link"), source.findall("link"), strict=True):
        for shape in (*full.findall("visual"), *full.findall("collision")):
            mesh = shape.find("geometry/mesh")
            if mesh is not None:
                file = find_mesh(mesh.get("filename", ""), folder, DRAWABLE)
                if file is None:
                    continue
                mesh.set("filename", f"file://{file.resolve()}")
            link.append(shape)
    return root


def find_mesh(uri: str, folder: Path | None, formats: Collection[str]) -> Path | None:
    """Find the file behind `uri` (package://, file:// or a path relative to `folder`).

    None where it is not there, or its suffix is not in `formats`.
    """
    if uri.startswith("package://"):
        package, _, inside = uri[len("package://") :].partition("/")
        prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
        shares = [Path(prefix) / "share" / package for prefix in prefixes if prefix]
        if package == ROBOT_DATA:
            shares += package_data_roots()
        candidates = [share / inside for share in shares]
    else:
        path = Path(uri.removeprefix("file://"))
        candidates = [path if folder is None else folder / path]
    found = (file for file in candidates if file.suffix.lower() in formats and file.is_file())
    return next(found, None)
