"""A page in the browser that shows a robot: viser serves it from the installed package, without anything of a network.

The scene is a frame per link with its shapes in it, so that a moment is drawn by moving the frames. Texts come from
topics and files of others and are escaped (panel.py).
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import webbrowser
from typing import Any, cast

import numpy as np

from ..robots.rotation import quaternion_of
from ..types import Array
from .health import HEALTH_PLOTS, HealthPlot
from .link_poses import LinkPoses
from .panel import text_of
from .shapes import UNCOLORED, Shape, Shapes
from .snapshot import CURVES, PLAN_COLOR, TARGET_COLOR, TUBE_SHARE, Snapshot
from .solids import drawn_segments, load_mesh, tube_along
from .terminal import limits_of

TEXT_PERIOD = 0.2  # [s] between two changes of texts and curves
ALWAYS_KNOWN = ("speed", "latency")  # a line of the others would go on through what is not known
LINE: Any = {"stroke": "#1a80e6", "width": 1.5}
DOTS: Any = {"stroke": "#1a80e6", "width": 0, "points": {"show": True, "size": 3, "fill": "#1a80e6"}}
PLOT_HEIGHT = 130  # pixels
EYE, LOOK_AT = (1.1, -1.1, 0.9), (0.15, 0.0, 0.3)  # of the camera, in reaches of the arm


class Page:
    """The page of a robot with `shapes`, served on `host` from the first free port from `port` on.

    `url` is its address; `undrawn` names the meshes that are missing or cannot be read; `shown` is the moment shown.
    """

    def __init__(self, shapes: Shapes, title: str, host: str = "127.0.0.1", port: int = 8080):
        import viser

        logging.getLogger("websockets").setLevel(logging.CRITICAL)  # a browser that leaves, or only connects
        self._poses, self.undrawn = LinkPoses(shapes.tree), list(shapes.missing)
        self._limits = limits_of(shapes.tree)
        with contextlib.redirect_stdout(io.StringIO()):  # its own banner
            self.server: Any = viser.ViserServer(host=host, port=port, label=title, verbose=False)
        self.url = f"http://{'localhost' if host in ('0.0.0.0', '127.0.0.1') else host}:{self.server.get_port()}"
        self._frames: dict[str, Any] = {}
        self._placed: dict[str, Array] = {}
        self._next_text = -np.inf
        self._draw(shapes)
        self._path: Any = None
        self._tube: Any = None
        self._tube_drawn: Array | None = None
        self._target = self.server.scene.add_icosphere("/target", radius=0.015, color=TARGET_COLOR, visible=False)
        self._add_panel(title)
        self.show(Snapshot(), at=-np.inf)

    # --- the scene --------------------------------------------------------------------------------------------------

    def _draw(self, shapes: Shapes) -> None:
        scene = self.server.scene
        scene.set_up_direction("+z")
        reach = max(0.3, *(float(np.linalg.norm(T[:3, 3])) for T in self._poses.at({}).values()))
        self.server.initial_camera.position = tuple(reach * x for x in EYE)
        self.server.initial_camera.look_at = tuple(reach * x for x in LOOK_AT)
        scene.add_grid("/floor", width=4.0 * reach, height=4.0 * reach, cell_size=0.1, section_size=0.5)
        scene.add_frame("/root", axes_length=0.1 * reach, axes_radius=0.004)
        for at, link in enumerate(shapes.tree.links):
            self._frames[link] = scene.add_frame(f"/links/{at}", show_axes=False)
        numbers = {link: at for at, link in enumerate(shapes.tree.links)}
        for at, shape in enumerate(shapes.shapes):
            try:
                self._add(f"/links/{numbers[shape.link]}/{at}", shape)
            except Exception as error:  # a mesh's reader raises whatever its format's parser raises
                self.undrawn.append(f"{shape.file}: {' '.join(str(error).split())[:100]}")

    def _add(self, name: str, shape: Shape) -> None:
        scene, (wxyz, position) = self.server.scene, _placement(shape.pose)
        color = tuple(round(255 * min(max(c, 0.0), 1.0)) for c in shape.color or UNCOLORED)
        if shape.file is not None:
            mesh = load_mesh(shape.file)
            if shape.color is None and mesh.visual.kind is not None:
                scene.add_mesh_trimesh(name, mesh, scale=shape.size, wxyz=wxyz, position=position)
            else:
                vertices, faces = np.asarray(mesh.vertices, dtype=np.float32), np.asarray(mesh.faces)
                scene.add_mesh_simple(
                    name, vertices, faces, color=color, scale=shape.size, wxyz=wxyz, position=position
                )
        elif shape.kind == "box":
            scene.add_box(name, color=color, dimensions=shape.size, wxyz=wxyz, position=position)
        elif shape.kind == "sphere":
            scene.add_icosphere(name, radius=shape.size[0], color=color, wxyz=wxyz, position=position)
        else:
            radius, height = shape.size
            scene.add_cylinder(name, radius=radius, height=height, color=color, wxyz=wxyz, position=position)

    def _place(self, positions: dict[str, float]) -> None:
        for link, T in self._poses.at(positions).items():
            if link not in self._placed or not np.array_equal(T, self._placed[link]):
                self._placed[link] = T
                self._frames[link].wxyz, self._frames[link].position = _placement(T)

    def _draw_plan(self, path: Array | None, target: Array | None) -> None:
        self._target.visible = target is not None
        if target is not None:
            self._target.position = tuple(target)
        points = drawn_segments(np.empty((1, 3)) if path is None else path)
        if self._path is not None:
            self._path.visible = bool(len(points))
        if len(points):
            if self._path is None or len(self._path.points) != len(points):
                self._path = self.server.scene.add_line_segments("/plan", points, colors=PLAN_COLOR, thickness=0.006)
            else:
                self._path.points = points

    def _draw_tube(self, path: Array | None, tube: Array | None) -> None:
        shown = path is not None and tube is not None and len(path) == len(tube)
        if self._tube is not None:
            self._tube.visible = shown
        if path is None or tube is None or not shown or tube is self._tube_drawn:
            return
        self._tube_drawn, solid = tube, tube_along(path, tube, (0.0, 0.0, 0.0))
        vertices = solid.vertices.astype(np.float32)
        if self._tube is None or len(self._tube.vertices) != len(vertices):
            self._tube = self.server.scene.add_mesh_simple(
                "/tube", vertices, solid.faces, color=PLAN_COLOR, opacity=TUBE_SHARE, side="double"
            )
        else:
            self._tube.vertices = vertices

    # --- the panel --------------------------------------------------------------------------------------------------

    def _add_panel(self, title: str) -> None:
        from viser import uplot

        gui = self.server.gui
        gui.configure_theme(show_logo=False, show_share_button=False)
        gui.main_panel.dock_right()
        gui.set_panel_label(title)
        self._text = gui.add_html("")
        self._plots = {
            name: gui.add_uplot(
                (np.zeros(1), np.full(1, np.nan)),
                (uplot.Series(label="s"), LINE if name in ALWAYS_KNOWN else DOTS),
                title=label,
                scales={"x": uplot.Scale(time=False)},
                legend=uplot.Legend(show=False),
                height=PLOT_HEIGHT,
            )
            for name, label in CURVES.items()
        }
        self._health: list[Any] = []  # the plots of HEALTH_PLOTS, once something of them has come

    def show(self, snapshot: Snapshot, at: float) -> None:
        """Show a moment; `at` [s], of any clock, tells when texts and curves are due."""
        self.shown = snapshot
        with self.server.atomic():
            self._place(snapshot.positions)
            self._draw_plan(snapshot.path, snapshot.target)
            self._draw_tube(snapshot.path, snapshot.tube)
            if at >= self._next_text or at < self._next_text - 2.0 * TEXT_PERIOD:
                self._next_text = at + TEXT_PERIOD
                self._text.content = text_of(snapshot, self._limits)
                times = snapshot.curves.get("time")
                if times is not None and len(times):
                    for name, plot in self._plots.items():
                        known = np.flatnonzero(np.isfinite(snapshot.curves[name]))
                        if known.size:  # what begins with NaN has no scale, and is not drawn at all
                            plot.data = (times[known[0] :], snapshot.curves[name][known[0] :])
                self._show_health(snapshot)

    def _show_health(self, snapshot: Snapshot) -> None:
        """Draw the curves of the model's health; where no controller is heard they take the place of its curves."""
        times = snapshot.health_curves.get("time", np.empty(0))
        if not len(times):
            return
        if not self._health:
            self._health = [self._health_plot(plot) for plot in HEALTH_PLOTS]
        for plot in self._plots.values():
            if plot.visible != bool(snapshot.status):
                plot.visible = bool(snapshot.status)
        for what, handle in zip(HEALTH_PLOTS, self._health, strict=True):
            values = [snapshot.health_curves[name] for name in what.values]
            known = np.flatnonzero(np.isfinite(values).all(axis=0))
            if known.size:  # see above
                handle.data = (times[known[0] :], *(value[known[0] :] for value in values))

    def _health_plot(self, what: HealthPlot) -> Any:
        from viser import uplot

        scales = {"x": uplot.Scale(time=False)}
        if what.ends is not None:
            scales["y"] = uplot.Scale(range=what.ends)
        lines = [
            uplot.Series(label=name, stroke=color, width=0, points=cast(Any, {**DOTS["points"], "fill": color}))
            for name, color in what.values.items()
        ]
        empty = tuple(np.full(1, np.nan) for _ in lines)
        return self.server.gui.add_uplot(
            (np.zeros(1), *empty),
            (uplot.Series(label="s"), *lines),
            title=what.title,
            scales=scales,
            legend=uplot.Legend(show=False),
            height=PLOT_HEIGHT,
        )

    def close(self) -> None:
        """Stop to serve the page."""
        with contextlib.redirect_stdout(io.StringIO()):
            self.server.stop()


def open_in_browser(url: str) -> None:
    """Open the page in the browser of this computer's desktop; without a desktop nothing happens."""
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(url)


def _placement(T: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the quaternion (w, x, y, z) and the position [m] of T (4, 4)."""
    x, y, z, w = quaternion_of(T[:3, :3]).tolist()
    return (w, x, y, z), tuple(T[:3, 3].tolist())
