"""Which joints are those of one arm, and where its flange is."""

import pytest

from mbrl_ros.exceptions import RobotDescriptionError
from mbrl_ros.robots.arm import arm_of
from mbrl_ros.robots.urdf import parse

LIMIT = '<limit lower="-1" upper="1" effort="1" velocity="1"/>'


def tree(*joints: tuple):
    """A tree of joints (name, kind, parent, child) or (name, kind, parent, child, joint that is mimicked)."""
    links = dict.fromkeys(link for _, _, parent, child, *_ in joints for link in (parent, child))
    text = "".join(f'<link name="{link}"/>' for link in links)
    for name, kind, parent, child, *mimic in joints:
        follows = f'<mimic joint="{mimic[0]}"/>' if mimic else ""
        text += (
            f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/><axis xyz="0 0 1"/>'
            f"{LIMIT}{follows}</joint>"
        )
    return parse(f'<robot name="r">{text}</robot>')


def series(prefix: str, base: str, n: int) -> list[tuple]:
    """n revolute joints one after the other."""
    links = [base, *(f"{prefix}link{i + 1}" for i in range(n))]
    return [(f"{prefix}j{i + 1}", "revolute", links[i], links[i + 1]) for i in range(n)]


ARM = series("", "base", 3)
HAND = ("hand_joint", "fixed", "link3", "hand")


@pytest.mark.parametrize(
    "more, flange, left_out",
    (
        ([], "link3", ()),
        ([("f", "fixed", "link3", "arm_flange"), HAND], "arm_flange", ()),
        ([("f", "fixed", "link3", "TOOL0")], "TOOL0", ()),
        ([HAND, ("a", "prismatic", "hand", "left"), ("b", "prismatic", "hand", "right")], "hand", ("a", "b")),
        ([HAND, ("a", "prismatic", "hand", "left"), ("b", "prismatic", "hand", "right", "a")], "hand", ("a",)),
        ([HAND, ("a", "revolute", "hand", "left"), ("b", "revolute", "left", "tip", "a")], "hand", ("a",)),
        ([HAND, ("theGripper", "revolute", "hand", "jaw")], "hand", ("theGripper",)),
    ),
)
def test_the_tip_is_the_flange_and_fingers_are_no_joints_of_the_arm(more, flange, left_out):
    found = arm_of(tree(*ARM, *more))
    assert found.joints == ("j1", "j2", "j3")
    assert found.flange == flange and found.left_out == left_out


def test_of_two_arms_on_a_torso_the_longer_or_else_the_first_is_taken():
    torso = [("lift", "prismatic", "base", "torso")]
    equal = arm_of(tree(*torso, *series("left_", "torso", 3), *series("right_", "torso", 3)))
    assert equal.joints == ("left_j1", "left_j2", "left_j3")
    assert equal.left_out == ("lift", "right_j1", "right_j2", "right_j3")
    longer = arm_of(tree(*torso, *series("left_", "torso", 3), *series("right_", "torso", 4)))
    assert longer.joints == tuple(f"right_j{i}" for i in (1, 2, 3, 4)) and longer.flange == "right_link4"
    assert equal.others == ("right_link3",) and not longer.others


def test_a_given_tip_chooses_the_arm():
    torso = [("lift", "prismatic", "base", "torso")]
    both = tree(*torso, *series("left_", "torso", 3), *series("right_", "torso", 2), ("f", "fixed", "right_link2", "r"))
    found = arm_of(both, "r")
    assert found.joints == ("right_j1", "right_j2") and found.flange == "r" and found.others == ("left_link3",)
    with pytest.raises(RobotDescriptionError, match="no link 'right_lnk2'; did you mean 'right_link2'"):
        arm_of(both, "right_lnk2")


@pytest.mark.parametrize(
    ("first", "joints"), [("right_j0", ("right_j0", "right_j1", "right_j2")), ("waist", ("right_j1", "right_j2"))]
)
def test_a_joint_that_carries_a_head_too_is_the_arm_s_if_it_is_named_as_the_next_one(first, joints):
    head = ("head_pan", "revolute", "shoulder", "head")
    arm = [(first, "revolute", "base", "shoulder"), *series("right_", "shoulder", 2)]
    assert arm_of(tree(*arm, head)).joints == joints
