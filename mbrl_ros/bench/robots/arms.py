"""The arms of the bench: where each URDF comes from, which joints are the arm's, and the load that is assumed for it.

Nothing here is chosen for how well a controller does: first postures and targets are drawn (targets.py).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Arm:
    """An arm: its URDF, its joints, its end effector, and the load it is assumed to be rated for [kg].

    description: empty where no package has the URDF, which has to be given as a file then.
    """

    description: str
    joints: tuple[str, ...]
    tip: str
    rated: float
    tip_offset: tuple[float, float, float] = (0.0, 0.0, 0.0)


def _numbered(name: str, first: int, last: int) -> tuple[str, ...]:
    return tuple(name.format(i) for i in range(first, last + 1))


UR = ("shoulder_pan_joint", "shoulder_lift_joint", "elbow_joint", "wrist_1_joint", "wrist_2_joint", "wrist_3_joint")
# The loads are assumptions: they were not compared with the makers' data sheets, and a URDF does not have them.
ARMS = {
    "panda": Arm("package-data:panda", _numbered("panda_joint{}", 1, 7), "panda_hand", 3.0, (0.0, 0.0, 0.1034)),
    "sawyer": Arm("", _numbered("right_j{}", 0, 6), "right_l6", 4.0, (0.0, 0.0, 0.1)),
    "ur3": Arm("package-data:ur3_robot", UR, "tool0", 3.0, (0.0, 0.0, 0.1)),
    "ur5": Arm("package-data:ur5", UR, "tool0", 5.0, (0.0, 0.0, 0.1)),
    "ur10": Arm("package-data:ur10", UR, "tool0", 10.0, (0.0, 0.0, 0.1)),
    "kinova": Arm("package-data:kinova", _numbered("j2s6s200_joint_{}", 1, 6), "j2s6s200_end_effector", 2.2),
    "z1": Arm("package-data:z1", _numbered("joint{}", 1, 6), "gripperStator", 2.0, (0.1, 0.0, 0.0)),
    "so100": Arm(
        "package-data:so100",
        ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll"),
        "gripper",
        0.2,
    ),
    "xarm7": Arm("package-data:xarm7", _numbered("joint{}", 1, 7), "link_eef", 3.5),
    "tiago_pro": Arm("package-data:tiago_pro", _numbered("arm_left_{}_joint", 1, 7), "arm_left_tool_link", 3.0),
    "tiago": Arm("package-data:tiago_no_hand", _numbered("arm_{}_joint", 1, 7), "arm_tool_link", 3.0),
    "talos": Arm("package-data:talos_left_arm", _numbered("arm_left_{}_joint", 2, 7), "wrist_left_ft_tool_link", 6.0),
    "baxter": Arm(
        "package-data:baxter",
        tuple(f"left_{joint}" for joint in ("s0", "s1", "e0", "e1", "w0", "w1", "w2")),
        "left_hand_link",
        2.2,
    ),
}
