"""What of a URDF is drawn."""

import numpy as np
import pytest

from mbrl_ros.exceptions import RobotDescriptionError
from mbrl_ros.view.shapes import ROD, UNCOLORED, read_shapes

TRIANGLE = (
    "solid t\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\nendsolid t\n"
)


def robot(*links: str, joints: str = "") -> str:
    return f'<robot name="r"><material name="red"><color rgba="1 0 0 1"/></material>{"".join(links)}{joints}</robot>'


def link(name: str, *shapes: str, kind: str = "visual") -> str:
    return f'<link name="{name}">{"".join(f"<{kind}>{shape}</{kind}>" for shape in shapes)}</link>'


def test_primitives_have_their_sizes_places_and_colours():
    text = robot(
        link(
            "base",
            '<geometry><box size="1 2 3"/></geometry><material name="red"/>',
            f'<origin xyz="1 0 0" rpy="0 0 {np.pi / 2}"/><geometry><cylinder radius="0.1" length="0.5"/></geometry>',
            '<geometry><sphere radius="0.2"/></geometry><material><color rgba="0 0.5 1 1"/></material>',
        )
    )
    box, cylinder, sphere = read_shapes(text).shapes
    assert (box.kind, box.size, box.color) == ("box", (1.0, 2.0, 3.0), (1.0, 0.0, 0.0))
    assert (cylinder.kind, cylinder.size, cylinder.color) == ("cylinder", (0.1, 0.5), UNCOLORED)
    np.testing.assert_allclose(cylinder.pose[:3, 0], [0.0, 1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(cylinder.pose[:3, 3], [1.0, 0.0, 0.0])
    assert (sphere.kind, sphere.size, sphere.color) == ("sphere", (0.2,), (0.0, 0.5, 1.0))


def test_a_mesh_that_is_nowhere_is_named_and_the_collision_shape_drawn(tmp_path):
    (tmp_path / "there.stl").write_text(TRIANGLE)
    shapes = read_shapes(
        robot(
            '<link name="base"><visual><geometry><mesh filename="gone.dae"/></geometry></visual>'
            '<collision><geometry><mesh filename="there.stl" scale="2 2 2"/></geometry></collision></link>'
        ),
        tmp_path,
    )
    assert shapes.missing == ["gone.dae"]
    (shape,) = shapes.shapes
    assert (shape.kind, shape.size, shape.file) == ("mesh", (2.0, 2.0, 2.0), tmp_path / "there.stl")


def test_a_link_without_shapes_is_a_rod_to_the_joints_that_it_carries():
    joints = "".join(
        f'<joint name="{child}" type="fixed"><parent link="base"/><child link="{child}"/><origin xyz="{xyz}"/></joint>'
        for child, xyz in (("a", "0.3 0 0.4"), ("b", "0 0 0"))
    )
    (rod,) = read_shapes(robot(link("base"), link("a"), link("b"), joints=joints)).shapes
    assert (rod.link, rod.kind) == ("base", "cylinder") and rod.size == pytest.approx((ROD, 0.5))
    np.testing.assert_allclose(rod.pose[:3, 3], [0.15, 0.0, 0.2])
    np.testing.assert_allclose(rod.pose[:3, 2], [0.6, 0.0, 0.8], atol=1e-12)
    np.testing.assert_allclose(rod.pose[:3, :3] @ rod.pose[:3, :3].T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("size", ("1 2", "a b c", "0 1 1", "nan 1 1", "1e999 1 1", ""))
def test_a_shape_that_cannot_be_read_is_left_out(size):
    assert read_shapes(robot(link("base", f'<geometry><box size="{size}"/></geometry>'))).shapes == []


def test_what_is_no_robot_is_an_error():
    with pytest.raises(RobotDescriptionError):
        read_shapes("<robot")
