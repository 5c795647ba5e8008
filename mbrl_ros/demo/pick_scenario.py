"""The demo's scenario of picking: to a place over a table, and on to another one behind a wall, beside a box.

A scene is a table, a wall that stands on it along a ray from the base, and a box on one side. The arm holds still for
`HOLD` seconds, goes to the first pose, gets the payload while it rests there, and goes to the second one, which lies on
the other side of the wall. The tool points down at both, turned about the vertical by what is drawn. All lengths are in
proportion to the arm's reach. A scene is drawn anew where the starting posture or that of a pose is nearer than ROOM to
an obstacle or OWN_ROOM to another link, or cannot be held: every scene has targets, but not always a path.

The path is planned with these distances by PLANNED iterations of RRT-Connect (references/path_planner.py). A scene in
which that finds none is looked at again with REFERENCE iterations and no more than the clearance of the rule, and
counts as one with a plan where that finds one; the arm is then given the poses alone, and goes straight.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..collision.build import build_scene
from ..collision.clear import ClearPostures
from ..collision.obstacles import Box
from ..collision.scene import Scene
from ..config.configuration import Configuration
from ..exceptions import ConfigurationError, TargetError
from ..references.path_planner import PathPlanner, PlannedPath
from ..references.workspace import Workspace
from ..robots import Robot
from ..robots.pose_kinematics import PoseKinematics
from ..robots.rotation import exponential, quaternion_of
from ..safety.collision_rule import CollisionRule
from ..scenarios.pose_scenario import POSE_CLOSE, check_joints
from ..scenarios.scenario import HOLD, REST, Drawing, Scenario, Slot, drawing
from ..types import Array

PICK_SETTINGS = {"collision.rule": "stop"}  # unless they are given
ROOM, OWN_ROOM = 0.03, 0.005  # [m] beyond the clearance of the rule: from obstacles, and between links
PLANNED, REFERENCE = 3000, 30000  # iterations of RRT-Connect: of the path, and to find whether there is one
PICK_LOAD = 1.0 / 3.0  # of the arm's usual payload
LOADED_BEFORE_END = 1.25  # [s]: from the payload to the end of the slot
SLOT_GRID = 0.5  # [s]: slots last a multiple of it
SCENES_TRIED, POSES_TRIED = 300, 40  # until the arm is said to have no room; for a pose in one scene
TABLE_NEAR, TABLE_FAR, TABLE_WIDE, TABLE_THICK = 0.3, 1.15, 1.4, 0.05  # of the reach
TABLE_TOP = (0.0, 0.2)  # of the reach, above the plane z = 0 of the root link; so are the following
WALL_AWAY, WALL_LONG, WALL_HIGH, WALL_THICK = (0.45, 0.75), (0.25, 0.5), (0.2, 0.5), 0.04
WALL_TURNED, BESIDE_WALL = 0.25, (0.35, 0.7)  # [rad] from straight ahead; of a pose or the box from the wall
BOX_EDGES, BOX_AWAY = (0.08, 0.25), (0.5, 0.85)
TOOL_ABOVE, TOOL_AWAY = (0.11, 0.22), (0.5, 0.8)
TOOL_DOWN = np.diag([1.0, -1.0, -1.0])  # the tool's z axis points down


def build_pick_scenario(
    robot: Robot, q_start: Array, seed: int, configuration: Configuration, *, payload_kg: float | None = None
) -> Scenario:
    """Build the scene of a seed and the path through it.

    Parameters
    ----------
    robot
        With six joints at least.
    q_start
        Joint position (n,) at the start.
    seed
        Of the scene and of the planner.
    configuration
        Whose robot, collision and reference settings are used.
    payload_kg
        Mass that is picked; None: PICK_LOAD of what is in proportion to the arm.

    Raises
    ------
    ConfigurationError
        The robot has too few joints, no links with a shape, or no room in any scene that was drawn.
    """
    check_joints(robot)
    drawn = drawing(robot, seed, payload_kg, None, PICK_LOAD)
    settings = configuration.collision
    scene = build_scene(robot, settings, configuration.robot.description).scene
    given, kinematics = list(scene.obstacles), PoseKinematics(robot)
    for _ in range(SCENES_TRIED):
        obstacles, ray = _obstacles(drawn)
        scene.set_obstacles([*given, *obstacles])
        clear = ClearPostures(scene, settings.clearance + ROOM, settings.clearance + OWN_ROOM)
        if not clear(q_start[None])[0]:
            continue
        side, postures, poses = 1.0 if drawn.work.rng.random() < 0.5 else -1.0, [q_start], list[Array]()
        for sign in (side, -side):
            found = _pose(drawn.work, kinematics, clear, postures[-1], ray, sign, float(obstacles[0].centre[2]))
            if found is None:
                break
            poses.append(found[0])
            postures.append(found[1])
        if len(poses) == 2:
            return _scenario(robot, seed, configuration, drawn, scene, obstacles, clear, poses, postures)
    raise ConfigurationError(
        f"none of {SCENES_TRIED} scenes leaves the arm room to start and to reach two poses over the table",
        key="plant.initial_position",
    )


def _scenario(
    robot: Robot,
    seed: int,
    configuration: Configuration,
    drawn: Drawing,
    scene: Scene,
    obstacles: tuple[Box, ...],
    clear: ClearPostures,
    poses: list[Array],
    postures: list[Array],
) -> Scenario:
    reference, clearance = configuration.reference, configuration.collision.clearance
    velocity = reference.velocity_fraction * robot.velocity_limit
    acceleration = reference.acceleration_fraction * robot.acceleration_limit
    period = 1.0 / configuration.control.rate
    rule = CollisionRule(
        robot, scene, configuration.collision, configuration.supervisor, period, configuration.control.delay * period
    )

    near = ClearPostures(scene, clearance + 0.5 * ROOM, clearance + 0.5 * OWN_ROOM)

    def passable(Q: Array, V: Array) -> NDArray[np.bool_]:
        return np.asarray(near(Q) & rule.lets_pass(Q, V, 0.5 * OWN_ROOM, 0.5 * ROOM))

    planner = PathPlanner(robot, clear, passable, seed=seed, iterations=PLANNED)
    slots, t, known = list[Slot](), HOLD, True
    for pose, start, goal in zip(poses, postures[:-1], postures[1:], strict=True):
        planned = _planned(planner, start, goal, velocity, acceleration)
        if planned is None and known:
            hard = ClearPostures(scene, clearance, clearance)
            whole = PathPlanner(robot, hard, passable, seed=seed, iterations=REFERENCE)
            known = whole.path(start, goal) is not None
        lasts = planned.motion.duration if planned is not None else float((np.abs(goal - start) / velocity).max() + 1.0)
        rests = REST if slots or drawn.load == 0.0 else REST + LOADED_BEFORE_END  # it also rests before the payload
        end = t + SLOT_GRID * math.ceil((lasts + rests) / SLOT_GRID)
        slots.append(Slot("pose", t, end, pose, path=None if planned is None else planned.points))
        t = end
    loaded = slots[0].end - LOADED_BEFORE_END if drawn.load > 0.0 else None
    tolerance = drawn.usual.tolerance
    return Scenario(seed, t, tuple(slots), drawn.load, loaded, tolerance, obstacles, with_plan=known)


def _planned(
    planner: PathPlanner, start: Array, goal: Array, velocity: Array, acceleration: Array
) -> PlannedPath | None:
    path = planner.path(start, goal)
    try:
        return None if path is None else planner.timed(path, velocity, acceleration)
    except TargetError:
        return None


def _obstacles(drawn: Drawing) -> tuple[tuple[Box, ...], float]:
    """Draw the table, the wall and the box; return them with the direction [rad] of the wall from the base."""
    rng, reach = drawn.work.rng, drawn.usual.reach
    top = rng.uniform(*TABLE_TOP)
    middle, deep = 0.5 * (TABLE_NEAR + TABLE_FAR), TABLE_FAR - TABLE_NEAR
    table = _box("table", reach, (middle, 0.0, top - 0.5 * TABLE_THICK), 0.0, (deep, TABLE_WIDE, TABLE_THICK))
    ray = rng.uniform(-WALL_TURNED, WALL_TURNED)
    long, high = rng.uniform(*WALL_LONG), rng.uniform(*WALL_HIGH)
    wall = _box("wall", reach, _at(rng.uniform(*WALL_AWAY), ray, top + 0.5 * high), ray, (long, WALL_THICK, high))
    edges, away = rng.uniform(*BOX_EDGES, 3), rng.uniform(*BOX_AWAY)
    beside = ray + rng.choice((-1.0, 1.0)) * rng.uniform(*BESIDE_WALL)
    box = _box("box", reach, _at(away, beside, top + 0.5 * edges[2]), rng.uniform(0.0, np.pi), edges)
    return (table, wall, box), ray


def _at(away: float, direction: float, height: float) -> tuple[float, float, float]:
    return away * np.cos(direction), away * np.sin(direction), height


def _box(name: str, reach: float, centre: tuple[float, float, float], yaw: float, edges: Array | tuple) -> Box:
    """Return a box from lengths over the reach [m], turned by `yaw` [rad] about the vertical."""
    return Box(name, reach * np.array(centre), exponential(np.array([0.0, 0.0, yaw])), 0.5 * reach * np.array(edges))


def _pose(
    work: Workspace,
    kinematics: PoseKinematics,
    clear: ClearPostures,
    q: Array,
    ray: float,
    side: float,
    table: float,
) -> tuple[Array, Array] | None:
    """Draw a pose (7,) on one side of the wall with a clear posture (n,) near q (n,); None where none is found.

    table: the height of its middle [m].
    """
    rng, reach = work.rng, work.reach
    for _ in range(POSES_TRIED):
        away, above = rng.uniform(*TOOL_AWAY), rng.uniform(*TOOL_ABOVE) + 0.5 * TABLE_THICK
        p = reach * np.array(_at(away, ray + side * rng.uniform(*BESIDE_WALL), above)) + (0.0, 0.0, table)
        R = exponential(np.array([0.0, 0.0, rng.uniform(-np.pi / 2, np.pi / 2)])) @ TOOL_DOWN
        there, distance, angle = kinematics.inverse_pose(p, R, q, restarts=0)
        if max(distance, angle) <= POSE_CLOSE and work.usable(there) and clear(there[None])[0]:
            return np.concatenate((p, quaternion_of(R))), there
    return None
