"""Films: what is seen where, and the files they become."""

import numpy as np
import pytest

from mbrl_ros.cli.main import main
from mbrl_ros.view.film import Film, lines_of
from mbrl_ros.view.filming import FilmOptions, Part
from mbrl_ros.view.raster import Canvas, Eye, shaded
from mbrl_ros.view.shapes import read_shapes
from mbrl_ros.view.snapshot import PLAN_COLOR, TARGET_COLOR, Snapshot
from mbrl_ros.view.solids import ball, clustered, normals_of, tube_along
from mbrl_ros.view.video import opened_video
from support.needs import needs
from support.robots import planar_arm

SIZE = (160, 120)
LOOKING = Eye(np.array([0.0, 0.0, -2.0]), np.eye(3), 100.0, SIZE)  # along z
SQUARE = np.array([[-0.5, -0.5, 0.0], [0.5, -0.5, 0.0], [0.5, 0.5, 0.0], [-0.5, 0.5, 0.0]])
HALVES = np.array([[0, 1, 2], [0, 2, 3]])


class Swing:
    """Two seconds of an arm that turns its first joint by half a radian; the plan goes sideways with a wide tube."""

    title, begin, end = "swing", 10.0, 12.0
    path = np.array([0.6, 0.0, 0.5]) + np.linspace(0.0, 1.0, 8)[:, None] * np.array([0.2, 0.3, 0.1])
    tube = np.linspace(0.01, 0.12, 8)[:, None, None] * np.eye(3)
    target = np.array([0.8, -0.4, 0.4])

    def at(self, stamp):
        shot = Snapshot(stamp, {"joint1": 0.25 * (stamp - self.begin), "joint2": 0.5}, supervisor="ACTIVE")
        shot.path, shot.tube, shot.target = self.path, self.tube, self.target
        shot.messages = ("payload \x1b[31m",)
        shot.curves = {"time": np.array([9.0, 9.5, stamp]), "distance": np.array([40.0, np.nan, 12.34])}
        return shot


def test_a_square_covers_its_pixels_and_the_nearer_triangle_is_seen():
    canvas = Canvas(LOOKING)
    canvas.draw(SQUARE, HALVES)
    seen = canvas.number.reshape(SIZE[::-1]) >= 0  # 100 px/m at 2 m: 50 pixels wide around the middle
    expected = np.zeros(SIZE[::-1], dtype=bool)
    expected[35:85, 55:105] = True
    assert np.array_equal(seen, expected)
    assert canvas.inverse[seen.ravel()] == pytest.approx(0.5)
    canvas.draw(0.5 * SQUARE + [0.0, 0.0, -1.0], HALVES + 0)  # half as large and half as far: the same pixels, in front
    assert canvas.inverse[seen.ravel()] == pytest.approx(1.0)
    before = canvas.inverse.copy()
    canvas.draw(SQUARE + [0.0, 0.0, 3.0], HALVES)
    canvas.draw(SQUARE - [0.0, 0.0, 2.5], HALVES)  # behind the eye
    assert np.array_equal(canvas.inverse[seen.ravel()], before[seen.ravel()])


def test_a_slanted_triangle_has_the_depth_of_its_plane():
    corners = np.array([[-0.6, -0.4, 0.0], [0.7, -0.3, 1.0], [0.1, 0.8, 2.0]])
    canvas = Canvas(LOOKING)
    canvas.draw(corners, np.array([[0, 1, 2]]))
    at = np.flatnonzero(canvas.number == 0)
    place = LOOKING.eye + LOOKING.rays().reshape(-1, 3)[at] / canvas.inverse[at][:, None]
    n = normals_of(corners, np.array([[0, 1, 2]]))[0]
    assert len(at) > 500 and np.abs((place - corners[0]) @ n).max() < 1e-4


def test_the_camera_is_as_near_as_sees_everything():
    points = np.random.default_rng(0).uniform(-1.0, 1.0, (50, 3))
    eye = Eye.around(points, np.array([1.0, -1.0, 0.5]), SIZE)
    pixels, depth = eye.project(points)
    margin = np.minimum(pixels, np.array(SIZE) - pixels).min(axis=0) / SIZE
    assert (depth > 0.0).all() and (margin > 0.05).all() and margin.min() < 0.08
    assert eye.R @ eye.R.T == pytest.approx(np.eye(3)) and np.linalg.det(eye.R) == pytest.approx(1.0)


def test_vertices_that_are_near_become_one_and_a_mesh_keeps_its_normals():
    fine = ball(np.zeros(3), 0.05 * np.eye(3), (1.0, 0.0, 0.0))
    coarse = clustered(fine.vertices, fine.faces, fine.colors, edge=0.02)
    assert len(coarse.vertices) < len(fine.vertices) and 0 < len(coarse.faces) < len(fine.faces)
    assert np.linalg.norm(coarse.vertices, axis=1).max() <= 0.0501
    assert np.linalg.norm(coarse.normals, axis=1) == pytest.approx(1.0)
    assert len(np.unique(np.sort(coarse.faces, axis=1), axis=0)) == len(coarse.faces)


def test_a_tube_is_as_wide_as_its_ellipsoids():
    axes = np.diag([0.3, 0.1, 0.2])
    path = np.stack([np.linspace(0.0, 2.0, 20), np.zeros(20), np.zeros(20)], axis=1)
    tube = tube_along(path, np.tile(axes, (20, 1, 1)), (0.0, 0.0, 1.0))
    assert np.abs(tube.vertices[:, 1]).max() == pytest.approx(0.1, rel=0.02)
    assert np.abs(tube.vertices[:, 2]).max() == pytest.approx(0.2, rel=0.02)
    assert tube.vertices[:, 0].max() == pytest.approx(2.3, rel=0.01)
    still = tube_along(np.zeros((5, 3)), np.tile(axes, (5, 1, 1)), (0.0, 0.0, 1.0))
    assert np.isfinite(still.vertices).all()


def test_light_falls_on_both_sides_and_colors_stay_colors():
    normals = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    up = np.array([0.0, 0.0, 1.0])
    colors = shaded(normals, np.ones((3, 3)), up, up)
    assert np.array_equal(colors[0], colors[1]) and (colors[2] < colors[0]).all()
    assert colors.min() >= 0.0 and colors.max() <= 1.0


@needs("trimesh", "PIL")
def test_a_picture_shows_target_plan_and_tube_where_they_are():
    moments = Swing()
    film = Film(read_shapes(planar_arm(2)), moments, (320, 240), 10.0)
    full = film.picture(moments.at(11.0)).astype(float)
    bare = film.picture(Snapshot(11.0, moments.at(11.0).positions)).astype(float)
    eye = film._eye

    def pixel(p):
        column, row = eye.project(np.array(p)[None])[0][0].astype(int)
        return (row, column)

    at = pixel(moments.target)
    assert full[at][0] > 1.5 * full[at][2] and full[at] / full[at].max() == pytest.approx(
        np.array(TARGET_COLOR) / max(TARGET_COLOR), abs=0.25
    )
    for k in (1, 4, 6):
        line = full[pixel(moments.path[k])]
        assert line[2] > 1.3 * line[0]  # the plan is blue
    beside = pixel(moments.path[6] + [0.0, 0.0, 0.08])  # in the tube, not on the line
    toward_blue = (np.array(PLAN_COLOR) - bare[beside]) @ (full[beside] - bare[beside])
    assert toward_blue > 0.0 and np.abs(full[beside] - bare[beside]).max() > 20.0
    changed = np.abs(film.picture(moments.at(12.0)).astype(float) - full).max(axis=2) > 30.0
    assert 0.005 < changed.mean() < 0.5  # the arm has moved, the rest stands


def test_what_is_written_of_a_moment():
    assert lines_of(Swing().at(10.5), 10.0) == ["0.5 s   ACTIVE", "12.3 mm from the target"]
    assert lines_of(Snapshot(1.0), 0.0) == ["1.0 s"]


def test_a_part_of_a_recording():
    part = Part(Swing(), 0.5, 1.0)
    assert (part.begin, part.end) == (10.5, 11.0)
    with pytest.raises(Exception, match="after its end"):
        Part(Swing(), 3.0, 4.0)


@needs("trimesh", "PIL")
def test_a_gif_has_its_pictures_and_its_time(tmp_path):
    from PIL import Image

    moments, file = Swing(), tmp_path / "swing.gif"
    FilmOptions(file).check()
    film = Film(read_shapes(planar_arm(2)), moments, (96, 64), 10.0)
    with opened_video(file, 5.0) as video:
        stamps = [stamp for stamp, picture in film.frames(5.0, 2.0) if video.add(picture) is None]
    assert stamps == pytest.approx([10.0, 10.4, 10.8, 11.2, 11.6, 12.0])
    with Image.open(file) as image:
        assert (image.size, image.n_frames, image.info["duration"]) == ((96, 64), 6, 200)
    with pytest.raises(RuntimeError), opened_video(tmp_path / "broken.gif", 5.0) as video:
        video.add(np.zeros((64, 96, 3), dtype=np.uint8))
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["swing.gif"]  # nothing half done


@needs("av")
def test_an_mp4_has_its_pictures(tmp_path):
    import av

    file = tmp_path / "film.mp4"
    with opened_video(file, 12.5) as video:
        for k in range(10):
            video.add(np.full((64, 96, 3), 20 * k, dtype=np.uint8))
    with av.open(str(file)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert container.streams.video[0].average_rate == pytest.approx(12.5)
    assert [frame.shape for frame in frames] == [(64, 96, 3)] * 10
    assert [float(frame.mean()) for frame in frames] == pytest.approx([20.0 * k for k in range(10)], abs=6.0)


@needs("trimesh", "PIL")
@pytest.mark.parametrize(
    ("arguments", "said"),
    (
        (("view", "--bag", "b", "--video", "film.avi"), "a film ends with .mp4 or .gif"),
        (("view", "--bag", "b", "--video", "no/folder/film.gif"), "there is no such folder"),
        (("view", "--video", "film.gif"), "name it with --bag"),
        (("view", "--bag", "b", "--fps", "5"), "are those of --video"),
        (("view", "--bag", "b", "--video", "film.gif", "--size", "801x450"), "even numbers"),
        (("view", "--bag", "b", "--video", "film.gif", "--begin", "3", "--end", "2"), "is not before"),
        (("demo", "--video-speed", "2"), "are those of --video"),
        (("demo", "--scenario", "pick", "--video", "film.gif"), "leave out --scenario pick"),
    ),
)
def test_a_film_that_cannot_be_made_is_refused_before_anything_runs(capsys, arguments, said):
    assert main(list(arguments)) == 2
    assert said in capsys.readouterr().err


def test_a_module_that_is_missing_is_named_with_its_extra(capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    assert main(["demo", "--video", "film.mp4"]) == 2
    assert "pip install 'mbrl_ros[video]'" in capsys.readouterr().err
