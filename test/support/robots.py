"""Small robots whose every number is known, as URDF text."""

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.robots import load_robot


def planar_arm(
    n: int = 2, *, length: float = 0.5, mass: float = 1.0, effort: float = 20.0, velocity: float = 3.0
) -> str:
    """n links in a row, each turning about y (gravity acts), centre of mass half way."""
    links = ['<link name="base"/>']
    for i in range(n):
        inertia = mass * length**2 / 12
        parent = "base" if i == 0 else f"link{i}"
        links.append(f'''
  <link name="link{i + 1}"><inertial><origin xyz="{length / 2} 0 0"/><mass value="{mass}"/>
    <inertia ixx="0.001" iyy="{inertia}" izz="{inertia}" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <joint name="joint{i + 1}" type="revolute"><parent link="{parent}"/><child link="link{i + 1}"/>
    <origin xyz="{0 if i == 0 else length} 0 0"/><axis xyz="0 -1 0"/>
    <limit lower="-2.5" upper="2.5" effort="{effort}" velocity="{velocity}"/></joint>''')
    links.append(
        f'<link name="tip"/><joint name="tip_joint" type="fixed"><parent link="link{n}"/><child link="tip"/>'
        f'<origin xyz="{length} 0 0"/></joint>'
    )
    return f'<robot name="planar{n}">{"".join(links)}</robot>'


def planar_robot(n: int = 2, interface: str = "effort", **changes):
    return load_robot(RobotSettings(interface=interface), planar_arm(n, **changes))


def lifted_arm(n: int = 3) -> str:
    """A planar arm on a lift along z (`lift`, 0 to 0.5 m), with a roll joint (`roll`) between its last link and tip."""
    lift = """<joint name="lift" type="prismatic"><parent link="ground"/><child link="base"/><axis xyz="0 0 1"/>
      <limit lower="0" upper="0.5" effort="100" velocity="0.2"/></joint>
      <link name="hand"/><joint name="roll" type="continuous"><parent link="tip"/><child link="hand"/>
      <axis xyz="1 0 0"/><limit effort="1" velocity="1"/></joint>"""
    arm = planar_arm(n).replace('<robot name="planar', '<robot name="lifted')
    return arm.replace('<link name="base"/>', '<link name="ground"/><link name="base"/>', 1).replace(
        "</robot>", f"{lift}</robot>"
    )


def two_arms(n: int = 2, apart: float = 1.6) -> str:
    """Two planar arms of n links on one base, in one vertical plane, which reach towards each other along x.

    Their joints are left_joint1, ..., right_joint1, ..., their tips left_tip and right_tip; `apart` [m] are their feet.
    """
    parts = ['<link name="stand"/>']
    for side, x, turn in (("left", -0.5 * apart, 0.0), ("right", 0.5 * apart, 3.141592653589793)):
        arm = planar_arm(n)[len(f'<robot name="planar{n}">') : -len("</robot>")]
        arm = arm.replace('name="', f'name="{side}_').replace('link="', f'link="{side}_')
        foot = f'<parent link="stand"/><child link="{side}_base"/><origin xyz="{x} 0 0" rpy="0 0 {turn}"/>'
        parts.append(f'{arm}<joint name="{side}_foot" type="fixed">{foot}</joint>')
    return f'<robot name="two_arms">{"".join(parts)}</robot>'
