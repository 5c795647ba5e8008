"""The joint-space inertia: numbers worked out by hand, kinetic energy, MuJoCo, adam-robotics, and the compiled code."""

import importlib.metadata
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.exceptions import RobotDescriptionError, ShapeError
from mbrl_ros.robots import inertia as module
from mbrl_ros.robots import load_robot, urdf
from mbrl_ros.robots.gravity import GravityEffort
from mbrl_ros.robots.inertia import JointSpaceInertia, has_inertials
from mbrl_ros.robots.mimic import Coupling
from support.finite_differences import derivative
from support.robots import planar_arm

PANDA = tuple(f"panda_joint{i}" for i in range(1, 8))
LIMIT = '<limit lower="-2" upper="2" velocity="1" effort="1"/>'


def link(name, mass=None, centre="0 0 0", tensor=(0.0,) * 6, rpy="0 0 0"):
    """A <link>; `tensor` is xx, yy, zz, xy, xz, yz."""
    if mass is None:
        return f'<link name="{name}"/>'
    entries = " ".join(
        f'i{key}="{value}"' for key, value in zip(("xx", "yy", "zz", "xy", "xz", "yz"), tensor, strict=False)
    )
    return (
        f'<link name="{name}"><inertial><origin xyz="{centre}" rpy="{rpy}"/><mass value="{mass}"/>'
        f"<inertia {entries}/></inertial></link>"
    )


def joint(name, parent, child, kind="revolute", axis="0 0 1", xyz="0 0 0", rpy="0 0 0", extra=""):
    return (
        f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
        f'<origin xyz="{xyz}" rpy="{rpy}"/><axis xyz="{axis}"/>{"" if kind == "fixed" else LIMIT}{extra}</joint>'
    )


def robot_of(*parts, joints=()):
    return load_robot(RobotSettings(joints=joints), f'<robot name="r">{"".join(parts)}</robot>')


def packaged(name, joints=()):
    """A robot of example-robot-data."""
    try:
        importlib.metadata.distribution("example-robot-data")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("example-robot-data is not installed")
    return load_robot(RobotSettings(description=f"package-data:{name}", joints=joints))


def random_positions(robot, count, seed):
    low, high = np.maximum(robot.position_lower, -3.0), np.minimum(robot.position_upper, 3.0)
    return np.random.default_rng(seed).uniform(low, high, (count, robot.n))


def random_tree(seed, links=12, frames=0.2):
    """Every kind of joint, branches, turned inertials, locked and mimic joints, any order; `frames` have no mass."""
    rng = np.random.default_rng(seed)

    def words(size, count=3):
        return " ".join(map(repr, rng.uniform(-size, size, count).tolist()))

    frame, parts, movable = False, [link("l0", 3.0, words(0.1), (0.1, 0.1, 0.1, 0.0, 0.0, 0.0))], []
    for i in range(1, links):
        x, y, z = rng.uniform(0.01, 0.1, 3)  # moments of a body: sums of two, so that no one exceeds the other two
        # mostly a chain, so that M has something to couple, and no leaf without mass
        parent = i - 1 if frame or rng.random() < 0.7 else int(rng.integers(0, i))
        frame = rng.random() < frames
        parts.append(
            link(f"l{i}")
            if frame
            else link(f"l{i}", rng.uniform(0.2, 3.0), words(0.2), (y + z, x + z, x + y, 0.0, 0.0, 0.0), words(3.0))
        )
        kind = rng.choice(["revolute", "continuous", "prismatic", "fixed"], p=[0.4, 0.15, 0.3, 0.15])
        mimic = '<mimic joint="idle"/>' if kind != "fixed" and rng.random() < 0.1 else ""
        parts.append(joint(f"j{i}", f"l{parent}", f"l{i}", kind, words(1.0), words(0.4), words(3.0), mimic))
        if kind != "fixed" and not mimic:
            movable.append(f"j{i}")
    parts += [link("beside", 0.5), joint("idle", "l0", "beside")]
    parts.append(link("end", 0.5, "0 0 0.1", (0.01, 0.01, 0.01, 0.0, 0.0, 0.0)))
    parts.append(joint("last", f"l{links - 1}", "end", axis=words(1.0), xyz=words(0.3), rpy=words(3.0)))
    kept = [name for name in movable if rng.random() < 0.85] + ["last"]  # the others are locked
    order = rng.permutation(len(parts))  # a child may stand before its parent in the file
    return robot_of(*(parts[i] for i in order), joints=tuple(kept[i] for i in rng.permutation(len(kept))))


def poses_of_links(robot, q):
    """{link: root_T_link (4, 4)} by the product of the joints from the root, with Rodrigues' formula."""
    tree, poses = urdf.parse(robot.urdf), {}
    for name in tree.links:
        T = np.eye(4)
        for one in tree.chain(name):
            T = T @ one.origin
            if one.name in robot.joints:
                value, motion = q[robot.joints.index(one.name)], np.eye(4)
                x, y, z = one.axis
                K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
                if one.kind == "prismatic":
                    motion[:3, 3] = value * one.axis
                else:
                    motion[:3, :3] += np.sin(value) * K + (1.0 - np.cos(value)) * K @ K
                T = T @ motion
        poses[name] = T
    return poses


def from_kinetic_energy(robot, q, step=1e-5):
    """sum over links of m Jv^T Jv + Jw^T R I R^T Jw, velocities by central differences of the links' frames."""
    here, inertials, n = poses_of_links(robot, q), {}, robot.n
    for element in ElementTree.fromstring(robot.urdf).findall("link"):
        found = element.find("inertial")
        if found is not None:
            origin, numbers = found.find("origin"), found.find("inertia")
            xx, yy, zz, xy, xz, yz = (float(numbers.get(f"i{key}")) for key in ("xx", "yy", "zz", "xy", "xz", "yz"))
            T = urdf.transform(*(np.array(origin.get(key).split(), dtype=float) for key in ("xyz", "rpy")))
            inertials[element.get("name")] = (
                float(found.find("mass").get("value")),
                T,
                np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]),
            )
    slopes = derivative(lambda q: [poses_of_links(robot, q)[name] for name in inertials], q, step)
    M = np.zeros((n, n))
    for number, (name, (mass, T, tensor)) in enumerate(inertials.items()):
        Jv, Jw, R = np.zeros((3, n)), np.zeros((3, n)), (here[name] @ T)[:3, :3]
        for i in range(n):
            slope = slopes[number, :, :, i] @ T
            turning = slope[:3, :3] @ R.T  # the cross-product matrix of the angular velocity
            Jv[:, i], Jw[:, i] = slope[:3, 3], (turning[2, 1], turning[0, 2], turning[1, 0])
        M += mass * Jv.T @ Jv + Jw.T @ R @ tensor @ R.T @ Jw
    return M


def close(M, other, tolerance):
    """Entry (i, j) to `tolerance` of sqrt(M_ii M_jj)."""
    size = np.sqrt(np.diag(other))
    np.testing.assert_allclose(M / np.outer(size, size), other / np.outer(size, size), rtol=0.0, atol=tolerance)


# --- by hand -------------------------------------------------------------------------------------------------


def test_two_links_are_the_textbooks_arm():
    l1, m, tensor = 0.5, 2.0, 2.0 * 0.5**2 / 12.0
    inertia = JointSpaceInertia(load_robot(RobotSettings(), planar_arm(2, length=l1, mass=m)))
    for q2 in (0.0, 0.7, -2.0):
        outer = tensor + m * (l1 / 2) ** 2
        across = outer + m * l1 * (l1 / 2) * np.cos(q2)
        whole = 2 * tensor + m * (l1 / 2) ** 2 + m * (l1**2 + (l1 / 2) ** 2 + 2 * l1 * (l1 / 2) * np.cos(q2))
        for M in (inertia(np.array([1.1, q2])), inertia.numpy(np.array([1.1, q2]))):
            np.testing.assert_allclose(M, [[whole, across], [across, outer]], rtol=1e-13)


def test_a_slider_on_a_turntable():
    # A mass of 2 kg slides along the table's x at y = 0.1 m: turning moves it along -y, x; sliding moves it along x.
    robot = robot_of(
        link("base"),
        link("table", 5.0, tensor=(1.0, 1.0, 0.4, 0.0, 0.0, 0.0)),
        link("slider", 2.0, tensor=(0.1, 0.2, 0.3, 0.0, 0.0, 0.0)),
        joint("turn", "base", "table"),
        joint("slide", "table", "slider", "prismatic", "2 0 0", xyz="0.3 0.1 0.7"),
    )
    inertia = JointSpaceInertia(robot)
    for s in (0.0, 0.5):
        turning = 0.4 + 0.3 + 2.0 * ((0.3 + s) ** 2 + 0.1**2)
        np.testing.assert_allclose(inertia(np.array([0.9, s])), [[turning, -0.2], [-0.2, 2.0]], rtol=1e-13)


def test_the_tensor_is_turned_by_rpy_and_moved_by_a_fixed_joint():
    # Principal moments 1, 2, 3 with x turned to z, on a frame 2 m beside the axis and turned by 90 degrees about y.
    quarter = repr(np.pi / 2)
    parts = [link("base"), link("arm"), link("load", 1.5, "0 0 0.5", (1.0, 2.0, 3.0, 0.0, 0.0, 0.0), f"0 -{quarter} 0")]
    turn = joint("turn", "base", "arm")
    for rpy, moment, distance in (("0 0 0", 1.0, 2.0), (f"0 {quarter} 0", 3.0, 2.5)):
        fixed = joint("flange", "arm", "load", "fixed", xyz="2 0 0", rpy=rpy)
        inertia = JointSpaceInertia(robot_of(*parts, turn, fixed))
        np.testing.assert_allclose(inertia(np.zeros(1)), [[moment + 1.5 * distance**2]], rtol=1e-13)


def test_everything_beyond_a_joint_counts_and_nothing_before_it():
    fingers = [
        link("finger"),
        link("tip", 0.25),
        joint("grip", "hand", "finger", "prismatic", xyz="1 0 0"),
        joint("pad", "finger", "tip", "fixed"),
        link("other", 0.5),
        joint("echo", "hand", "other", "prismatic", xyz="0 2 0", extra='<mimic joint="grip"/>'),
    ]
    parts = [
        link("base", 100.0),
        link("hand", 1.0, tensor=(1.0, 1.0, 1.0, 0.0, 0.0, 0.0)),
        joint("wrist", "base", "hand"),
    ]
    whole = 1.0 + 0.25 * 1.0 + 0.5 * 4.0
    both = JointSpaceInertia(robot_of(*parts, *fingers, joints=("grip", "wrist")))
    # both fingers move along the wrist's axis
    np.testing.assert_allclose(both(np.array([0.3, 1.0])), np.diag([0.75, whole]), rtol=1e-13)
    locked = JointSpaceInertia(robot_of(*parts, *fingers, joints=("wrist",)))
    np.testing.assert_allclose(locked(np.zeros(1)), [[whole]], rtol=1e-13)


# --- against other ways to compute it ------------------------------------------------------------------------


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("seed", range(8))
def test_m_is_the_kinetic_energys(seed):
    robot = random_tree(seed)
    inertia = JointSpaceInertia(robot)
    for q in random_positions(robot, 3, seed):
        close(inertia.numpy(q), from_kinetic_energy(robot, q), 1e-8)


def test_the_random_trees_hold_every_case():
    robots = [random_tree(seed) for seed in range(20)]
    trees = [urdf.parse(robot.urdf) for robot in robots]
    controlled = [
        [one for one in tree.joints if one.name in robot.joints] for robot, tree in zip(robots, trees, strict=False)
    ]
    assert {one.kind for joints in controlled for one in joints} == {"revolute", "continuous", "prismatic"}
    assert any(one.mimic for tree in trees for one in tree.joints)
    assert any(
        one.movable and one not in joints
        for tree, joints in zip(trees, controlled, strict=False)
        for one in tree.joints
    )
    assert any((JointSpaceInertia(robot).numpy(np.ones(robot.n)) == 0.0).any() for robot in robots)  # branches


@pytest.mark.parametrize("seed", range(20))
def test_the_compiled_code_is_the_readable_one(seed):
    if module.library() is None:
        pytest.skip("no C++ compiler: there is only the readable one")
    robot = random_tree(seed)
    inertia = JointSpaceInertia(robot)
    for q in random_positions(robot, 10, seed):
        M = inertia(q)
        close(M, inertia.numpy(q), 1e-12)
        np.testing.assert_array_equal(M, M.T)
        assert np.linalg.eigvalsh(M)[0] > 0.0


@pytest.mark.parametrize("seed", range(6))
def test_the_compiled_gravity_is_the_readable_one(seed):
    tilted = np.random.default_rng(seed).normal(size=3) if seed % 2 else np.array([0.0, 0.0, -9.81])
    robot = replace(random_tree(seed), gravity=tuple(tilted.tolist()))
    effort = GravityEffort(robot)
    for q in random_positions(robot, 10, seed):
        np.testing.assert_allclose(effort(q), effort.numpy(q), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "name, joints",
    [
        ("panda", PANDA),
        ("ur10", ()),
        ("so100", ()),
        ("z1", ()),
        ("xarm7", ()),
        ("kinova", ()),
        ("talos_left_arm", ()),
        ("allegro_left_hand", ()),
        ("icub", ()),
    ],
)
def test_m_is_adams(name, joints):
    adam = pytest.importorskip("adam.casadi")
    robot = packaged(name, joints)
    text = ElementTree.tostring(urdf.reduced(robot.urdf, robot.joints), encoding="unicode")
    mass_matrix = adam.KinDynComputations(text, list(robot.joints)).mass_matrix_fun()
    inertia = JointSpaceInertia(robot)
    for q in random_positions(robot, 5, seed=1):
        close(inertia(q), np.array(mass_matrix(np.eye(4), q))[6:, 6:], 1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda: packaged("panda"),
        lambda: packaged("baxter"),
        lambda: packaged("tiago_pro"),
        *[lambda seed=seed: random_tree(seed, frames=0.0) for seed in range(5)],
    ],
    ids=["panda with a finger", "baxter", "tiago_pro", *[f"tree {seed}" for seed in range(5)]],
)
def test_m_is_mujocos(make):
    mujoco = pytest.importorskip("mujoco")
    from mbrl_ros.config.sections.simulation import PlantSettings
    from mbrl_ros.simulation.plant import Plant

    robot = make()
    plant = Plant(PlantSettings(armature=(0.0,), frictionloss=(0.0,)), robot)
    inertia, coupling = JointSpaceInertia(robot), Coupling(robot.n, robot.followers)
    for q in random_positions(robot, 5, seed=2):
        plant.data.qpos[plant._all_qpos] = coupling.positions(q)
        mujoco.mj_forward(plant.model, plant.data)
        M = np.zeros((len(coupling.c), plant.model.nv))
        for i, row in enumerate(np.eye(plant.model.nv)[plant._all_dof]):  # mj_fullM's arguments differ between versions
            mujoco.mj_mulM(plant.model, plant.data, M[i], row)
        close(inertia(q), coupling.E.T @ M[:, plant._all_dof] @ coupling.E, 1e-9)


def test_permuting_the_joints_permutes_m():
    robot = random_tree(3)
    q = random_positions(robot, 1, seed=3)[0]
    order = np.random.default_rng(3).permutation(robot.n)
    turned = load_robot(RobotSettings(joints=tuple(robot.joints[i] for i in order)), robot.urdf)
    close(JointSpaceInertia(turned)(q[order]), JointSpaceInertia(robot)(q)[np.ix_(order, order)], 1e-14)


# --- the interface -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [True, False])
def test_every_call_returns_an_array_of_its_own_and_checks_q(compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr(module, "library", lambda: None)
    inertia = JointSpaceInertia(load_robot(RobotSettings(), planar_arm(2)))
    first = inertia(np.zeros(2))
    kept = first.copy()
    second = inertia([0.0, 1.0])
    np.testing.assert_array_equal(first, kept)
    assert inertia.n == 2 and first.shape == (2, 2) and np.abs(second - first).max() > 0.01
    for wrong in (np.zeros(1), np.zeros(3), np.zeros((2, 1)), 0.0):
        with pytest.raises(ShapeError, match="q must have shape"):
            inertia(wrong)
    strided = np.array([[0.0, 9.0], [1.0, 9.0]])[:, 0]
    np.testing.assert_array_equal(inertia(strided), second)


# --- inertials that are missing or wrong ---------------------------------------------------------------------


def two(first, second):
    return robot_of(
        link("base"),
        first,
        second,
        joint("a", "base", "upper", axis="0 1 0"),
        joint("b", "upper", "lower", axis="1 1 0", xyz="1 0 0"),
    )


SOUND = {name: link(name, 1.0, "0.1 0 0.2", (0.1, 0.1, 0.1, 0.0, 0.0, 0.0)) for name in ("upper", "lower")}


@pytest.mark.parametrize(
    "lower, message",
    [
        (link("lower"), r"'b' moves no mass.*\['lower'\].*CAD"),
        (link("lower", 0.0, tensor=(0.1, 0.1, 0.1, 0.0, 0.0, 0.0)), "'b' moves no mass"),
        (link("lower", -1.0), "mass of link 'lower' is negative.*data sheet"),
        (link("lower", "nan"), "mass of link 'lower'.*finite.*'nan'"),
        (link("lower", "heavy"), "mass of link 'lower'.*finite.*'heavy'"),
        (link("lower", 1.0, "0 0 0", ("x",) * 6), "<inertia> of link 'lower'.*finite.*'x'"),
        (link("lower", 1.0, "0 0"), "'xyz' of link 'lower' must be 3"),
        (link("lower", 1.0).replace("<mass", "<weight"), "<inertial> of link 'lower' has no <mass>"),
        (link("lower", 1.0).replace("<inertia ", "<tensor "), "<inertial> of link 'lower' has no <inertia>"),
        (link("lower", 1.0).replace("iyy", "Iyy"), "<inertia> of link 'lower' has no attribute 'iyy'"),
        # a mass on the axis, and a body no matter could form
        (link("lower", 1.0, "0.2 0.2 0"), "joint 'b' moves is not positive.*CAD"),
        (
            link("lower", 1.0, tensor=(-1.0, -1.0, 1.0, 0.0, 0.0, 0.0)),
            r"moves is not positive.*<inertia> of \['lower'\]",
        ),
        (link("lower", 1e300, "1e300 1e300 1"), "not positive"),
    ],
)
def test_unusable_inertials_say_what_to_fix(lower, message):
    robot = two(SOUND["upper"], lower)
    assert not has_inertials(robot)
    with pytest.raises(RobotDescriptionError, match=f"(?s){message}"):
        JointSpaceInertia(robot)


@pytest.mark.parametrize(
    "upper, lower",
    [
        (SOUND["upper"], SOUND["lower"]),
        (link("upper"), SOUND["lower"]),  # what is beyond a joint is enough
        (SOUND["upper"], link("lower", 1.0, "0 0 1")),  # a point off the axis
        # no triangle inequality, and slightly negative: files have these
        (SOUND["upper"], link("lower", 1.0, "0.1 0 0", (0.1, 0.1, 0.9, 0.0, 0.0, 0.0))),
        (SOUND["upper"], link("lower", 1.0, "0.1 0 0", (0.1, 0.1, -1e-3, 0.0, 0.0, 0.0))),
    ],
)
def test_usable_inertials(upper, lower):
    robot = two(upper, lower)
    assert has_inertials(robot)
    assert np.linalg.eigvalsh(JointSpaceInertia(robot)(np.array([0.3, 0.4])))[0] > 0.0


def test_links_that_do_not_move_are_not_looked_at():
    robot = two(SOUND["upper"], SOUND["lower"])
    assert has_inertials(replace(robot, urdf=robot.urdf.replace('<link name="base"/>', link("base", "nan"))))


def test_robots_of_the_package():
    assert has_inertials(packaged("panda", PANDA)) and has_inertials(packaged("ur10"))
    assert not has_inertials(packaged("romeo_laas_small"))  # a gripper without mass
