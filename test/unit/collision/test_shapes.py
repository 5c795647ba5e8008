"""The capsules of a robot cover its shapes, from primitives and from meshes; what is guessed is said."""

import re
import struct

import numpy as np
import pytest

from mbrl_ros.collision.build import build_scene
from mbrl_ros.collision.capsules import parse_capsules
from mbrl_ros.collision.mesh_vertices import vertices
from mbrl_ros.collision.shapes import capsules_of
from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.collision import CollisionSettings
from mbrl_ros.exceptions import ConfigurationError, RobotDescriptionError
from mbrl_ros.robots import load_robot
from support.robots import planar_arm

BOX = np.array([[x, y, z] for x in (-0.1, 0.1) for y in (-0.05, 0.05) for z in (-0.3, 0.3)])


def arm_with(shapes, arm=None):
    """A planar arm of one joint whose link1 has the given <collision> elements."""
    made = "".join(f"<collision>{shape}</collision>" for shape in shapes)
    return re.sub(r'(<link name="link1">)', rf"\g<1>{made}", planar_arm(1) if arm is None else arm)


def only(urdf, **options):
    found = capsules_of(urdf, 0.06, **options)
    return next(capsule for capsule in found.capsules if capsule.link == "link1"), found


def distance(capsule, points):
    along = capsule.b - capsule.a
    t = np.clip((points - capsule.a) @ along / max(along @ along, 1e-12), 0.0, 1.0)
    return np.linalg.norm(points - capsule.a - t[:, None] * along, axis=1) - capsule.radius


def test_a_sphere_is_exact():
    capsule, _ = only(arm_with(['<origin xyz="0.1 0.2 0.3"/><geometry><sphere radius="0.07"/></geometry>']))
    assert np.allclose(capsule.a, [0.1, 0.2, 0.3], atol=1e-6)
    assert np.allclose(capsule.b, capsule.a, atol=1e-6)
    assert capsule.radius == pytest.approx(0.07, rel=1e-6)


def test_a_cylinder_between_two_spheres_of_its_radius_is_that_capsule():
    """So the URDFs of some robots write a capsule."""
    sphere = '<origin xyz="0 0 {}"/><geometry><sphere radius="0.05"/></geometry>'
    cylinder = '<geometry><cylinder radius="0.05" length="0.4"/></geometry>'
    capsule, _ = only(arm_with([cylinder, sphere.format(0.2), sphere.format(-0.2)]))
    assert sorted((capsule.a[2], capsule.b[2])) == pytest.approx([-0.2, 0.2], abs=1e-3)
    assert capsule.radius == pytest.approx(0.05, abs=1e-4)


def test_a_cylinder_and_a_turned_box_are_covered_but_for_nothing():
    capsule, _ = only(arm_with(['<geometry><cylinder radius="0.05" length="0.4"/></geometry>']))
    angle = np.linspace(0.0, 2.0 * np.pi, 1000)
    rim = np.stack((0.05 * np.cos(angle), 0.05 * np.sin(angle), np.full(1000, 0.2)), axis=1)
    assert distance(capsule, rim).max() < 0.05 * (1.0 - np.cos(np.pi / 64))
    assert capsule.radius < 0.06
    shape = '<origin xyz="0.1 0 0" rpy="0.3 -0.2 0.5"/><geometry><box size="0.2 0.1 0.6"/></geometry>'
    capsule, _ = only(arm_with([shape]))
    turn = np.array(
        [
            [0.8600893, -0.5098036, -0.0187957],
            [0.4698689, 0.8063, -0.3593214],
            [0.1983390, 0.3002180, 0.9330527],
        ]
    )
    turn = np.linalg.qr(turn)[0] @ np.diag(np.sign(np.diag(np.linalg.qr(turn)[1])))
    assert distance(capsule, BOX @ turn.T + [0.1, 0.0, 0.0]).max() < 2e-3  # the rotation is written with seven digits
    assert capsule.radius < 0.13


def stl(points, binary=True):
    triangles = np.array([points[[0, 1, i]] for i in range(2, len(points))])
    if not binary:
        rows = "\n".join("vertex " + " ".join(f"{x:.6f}" for x in point) for t in triangles for point in t)
        return f"solid x\n{rows}\nendsolid".encode()
    body = b"".join(struct.pack("<12fH", 0.0, 0.0, 1.0, *t.ravel(), 0) for t in triangles)
    return b"solid, and yet binary".ljust(80) + struct.pack("<I", len(triangles)) + body


DAE = """<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema">
<asset><unit meter="0.001"/><up_axis>Z_UP</up_axis></asset>
<library_geometries><geometry id="g"><mesh><source id="s"><float_array count="24">{}</float_array></source>
<vertices id="v"><input semantic="POSITION" source="#s"/></vertices></mesh></geometry></library_geometries>
<library_visual_scenes><visual_scene id="x"><node><translate>100 0 0</translate><rotate>0 0 1 90</rotate>
<instance_geometry url="#g"/></node></visual_scene></library_visual_scenes></COLLADA>"""


@pytest.mark.parametrize("name", ("binary.stl", "text.STL", "mesh.obj", "mesh.dae"))
def test_meshes_are_covered(tmp_path, name):
    expected = BOX
    if name.endswith("obj"):
        content = "\n".join("v " + " ".join(map(str, point)) for point in BOX).encode() + b"\nvn 9 9 9\nf 1 2 3\n"
    elif name.endswith("dae"):
        content = DAE.format(" ".join(str(1000.0 * x) for x in BOX.ravel())).encode()
        expected = BOX @ np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]) + [0.1, 0.0, 0.0]
    else:
        content = stl(BOX, binary=name.startswith("binary"))
    (tmp_path / name).write_bytes(content)
    read = vertices(tmp_path / name)
    assert {tuple(np.round(point, 5) + 0.0) for point in read} == {tuple(np.round(p, 5) + 0.0) for p in expected}
    capsule, found = only(arm_with([f'<geometry><mesh filename="{name}"/></geometry>']), folder=tmp_path)
    assert distance(capsule, expected).max() < 1e-6
    assert np.linalg.norm(capsule.b - capsule.a) > 0.3
    assert not any("link1" in note for note in found.notes)


def test_a_scaled_mesh(tmp_path):
    (tmp_path / "mm.stl").write_bytes(stl(1000.0 * BOX))
    shape = '<geometry><mesh filename="mm.stl" scale="0.001 0.001 0.001"/></geometry>'
    capsule, _ = only(arm_with([shape]), folder=tmp_path)
    assert distance(capsule, BOX).max() < 1e-6
    assert capsule.radius < 0.15


@pytest.mark.parametrize("content", (b"", b"solid nothing", b"\xff" * 300, b"vertex a b c", b"vertex nan 0 0"))
def test_a_damaged_mesh_is_guessed_aloud(tmp_path, content):
    (tmp_path / "bad.stl").write_bytes(content)
    _, found = only(arm_with(['<geometry><mesh filename="bad.stl"/></geometry>'], planar_arm(2)), folder=tmp_path)
    note = next(note for note in found.notes if "link1" in note)
    assert "GUESSED" in note
    assert "bad.stl" in note


def test_a_link_without_a_shape_reaches_from_joint_to_joint():
    capsule, found = only(planar_arm(2))
    assert np.allclose([capsule.a, capsule.b], [[0, 0, 0], [0.5, 0, 0]])
    assert capsule.radius == 0.06
    assert any("link1" in note and "no <collision>" in note for note in found.notes)
    assert not any(capsule.link == "tip" for capsule in found.capsules)  # a mere frame


@pytest.mark.parametrize("size", ('radius="-0.1"', 'radius="nan"', "", 'radius="1,5"'))
def test_a_malformed_shape_names_its_link(size):
    with pytest.raises(RobotDescriptionError, match="link1"):
        only(arm_with([f"<geometry><sphere {size}/></geometry>"]))


def test_capsules_survive_settings_and_cover_what_they_did():
    capsule, _ = only(planar_arm(2))
    read = parse_capsules([capsule.text], ["link1"])[0]
    assert (
        distance(read, np.array([capsule.a, capsule.b])) + read.radius <= read.radius - capsule.radius + 1e-12
    ).all()


@pytest.mark.parametrize(
    "text, said",
    (
        ("", "malformed"),
        ("link1 0 0 0 1 0 0", "malformed"),
        ("link1 0 0 0 1 0 0 x", "malformed"),
        ("link1 0 0 0 1 0 0 nan", "malformed"),
        ("link1 0 0 0 1 0 0 0", "above 0"),
        ("link1 0 0 0 1 0 0 -1", "above 0"),
        ("link1 0 0 0 1000 0 0 1", "write metres"),
        ("lynk1 0 0 0 1 0 0 0.1", "did you mean 'link1'"),
    ),
)
def test_a_wrong_capsule_says_what_to_write(text, said):
    with pytest.raises(ConfigurationError, match=said):
        parse_capsules([text], ["base", "link1"])


GONE = '<geometry><mesh filename="package://not_here/hand.stl"/></geometry>'


def hand_of(*shapes: str) -> str:
    """An arm of two joints whose last link, the tip, has these <collision> elements, 0.2 m ahead of its frame."""
    shape = "".join(f'<collision><origin xyz="0.2 0 0"/>{one}</collision>' for one in shapes)
    return planar_arm(2).replace('<link name="tip"/>', f'<link name="tip">{shape}</link>')


def test_a_mesh_that_is_not_here_at_the_end_of_the_arm_is_said_and_refused_by_the_rule():
    found = capsules_of(hand_of(GONE), 0.06)
    (capsule,) = (one for one in found.capsules if one.link == "tip")
    assert np.allclose([capsule.a, capsule.b], [0.2, 0.0, 0.0])
    assert found.unknown == ["tip"] and "tip" in found.guessed
    assert any("'tip'" in note and "GUESSED" in note and "hand.stl" in note for note in found.notes)
    flat = {"robot.description": hand_of(GONE), "robot.interface": "velocity"}
    robot = load_robot(Configuration.from_flat(flat).robot)
    with pytest.raises(ConfigurationError, match=r"tip.*hand\.stl.*collision\.capsules"):
        build_scene(robot, CollisionSettings(rule="stop"))
    assert build_scene(robot, CollisionSettings()).guessed == ["link1", "link2", "tip"]
    build_scene(robot, CollisionSettings(rule="stop", capsules=("tip 0 0 0  0.3 0 0  0.1",)))


def test_what_can_be_read_of_a_link_is_kept_beside_a_mesh_that_is_not_here():
    found = capsules_of(hand_of('<geometry><sphere radius="0.15"/></geometry>', GONE), 0.06)
    assert sorted(one.radius for one in found.capsules if one.link == "tip") == pytest.approx([0.06, 0.15])


def test_a_link_that_is_seen_and_has_no_shape_is_said():
    urdf = planar_arm(2).replace(
        '<link name="tip"/>', '<link name="tip"><visual><geometry><sphere radius="0.1"/></geometry></visual></link>'
    )
    assert any("'tip'" in note and "NO CAPSULE" in note for note in capsules_of(urdf, 0.06).notes)


def test_a_mesh_in_millimetres_is_no_shape_of_a_robot(tmp_path):
    (tmp_path / "mm.stl").write_bytes(stl(1000.0 * BOX))
    found = capsules_of(hand_of('<geometry><mesh filename="mm.stl"/></geometry>'), 0.06, tmp_path)
    assert found.unknown == ["tip"] and any("scale" in note for note in found.notes)
