r"""The task `panda_reach`: the Panda's hand goes to a point and stays there, by velocity commands of seven joints.

    x = [q (7,); p* (3,); qd (7,); 0 (3,)],    d = |p(q) - p*| [m],    r = -d,    goal: d <= 0.02 m after 2 s

The target p* [m, in the robot's base frame] stands where three passive joints would, as in `reacher`. The plant is the
package's MuJoCo model of the robot and its drives (simulation/plant.py), which do not know the friction, without sensor
noise and delay, in periods of 0.05 s. A start is a posture with a standard deviation of 0.1 rad about HOME at rest, and
a target uniform in a cube of 0.4 m about the hand of HOME. Where the hand is by the joints, p(q), is known, as it is of
an arm, and with J = dp/dq a policy sees

    o = [qd; e; J^T (J J^T + 0.01 m^2 I)^-1 e] (17,),    e = p(q) - p*

the last being the error in joint coordinates, by damped least squares. It does not see q itself: the postures of few
starts are enough to tell these starts apart, and a policy would learn that.
"""

from __future__ import annotations

import numpy as np

from ..codegen.symbolic import casadi
from ..config.sections.robot import RobotSettings
from ..config.sections.simulation import PlantSettings
from ..costs import CostModel, CostSettings, StateCostSettings, TargetSettings, Term
from ..robots import Robot, kinematics, load_robot
from ..types import Array, CommandVector, StateVector
from .base import Step, TaskInfo

PANDA_JOINTS = tuple(f"panda_joint{i}" for i in range(1, 8))
HOME = (0.0, -0.3, 0.0, -2.0, 0.0, 1.7, 0.8)  # [rad]
START_DEVIATION, TARGET_SPREAD = 0.1, 0.2  # [rad]; [m] along each axis
REACH_RATE, REACH_STEPS = 20.0, 40  # [Hz], steps of an episode
REACH_WITHIN, REACH_SOLVED = 0.02, -2.5  # [m]; return
STEP_DAMPING = 0.01  # [m^2]
ARM = len(PANDA_JOINTS)


class PandaReach:
    """See the top of this module; a `Task`."""

    def __init__(self) -> None:
        from ..simulation.plant import Plant

        robot = load_robot(
            RobotSettings(description="package-data:panda", joints=PANDA_JOINTS, tip="panda_hand", interface="velocity")
        )
        settings = PlantSettings(
            rate=REACH_RATE,
            position_noise=0.0,
            velocity_noise=0.0,
            command_delay=0.0,
            initial_position=HOME,
            initial_noise=START_DEVIATION,
        )
        self._plant, self._target = Plant(settings, robot), np.zeros(3)
        self._tip = kinematics.tip_position(robot)
        self._middle = self.tip(np.array(HOME))
        still = np.zeros(3)
        self.info = TaskInfo(
            (*PANDA_JOINTS, "target_x", "target_y", "target_z"),
            np.append(robot.command_lower, still),
            np.append(robot.command_upper, still),
            1.0 / REACH_RATE,
            REACH_STEPS,
            REACH_SOLVED,
            20,
            reach_cost(robot),
            observation(robot),
        )

    def tip(self, q: Array) -> Array:
        """Return the position of the hand (3,) [m] at q (7,)."""
        return np.array(self._tip(q))[:, 0]

    def distance(self, x: StateVector) -> float:
        """Return the distance [m] of the hand from the target at x (20,)."""
        return float(np.linalg.norm(self.tip(x[:ARM]) - x[ARM : ARM + 3]))

    def reset(self, seed: int) -> StateVector:
        """See `Task`."""
        self._target = self._middle + np.random.default_rng([seed, 1]).uniform(-TARGET_SPREAD, TARGET_SPREAD, 3)
        start = self._plant.reset(seed)
        return self._state(start.q, start.qd)

    def step(self, u: CommandVector) -> Step:
        """See `Task`."""
        u = np.clip(u, self.info.u_lower, self.info.u_upper)
        measured = self._plant.step(u[:ARM])
        x = self._state(measured.q, measured.qd)
        return Step(x, self.reward(x, u, x), False)

    def reward(self, x: StateVector, u: CommandVector, x_next: StateVector) -> float:
        """See `Task`."""
        return -self.distance(x_next)

    def failed(self, x: StateVector) -> bool:
        """See `Task`: no state ends an episode."""
        return False

    def _state(self, q: Array, qd: Array) -> StateVector:
        return np.concatenate([q, self._target, qd, np.zeros(3)])


def observation(robot: Robot) -> casadi.Function:
    """Return o (17,) as a function of x (20,); see the top of this module."""
    x = casadi.SX.sym("x", 2 * (ARM + 3))
    q, target, qd = x[:ARM], x[ARM : ARM + 3], x[ARM + 3 : 2 * ARM + 3]
    error = kinematics.tip_position(robot)(q) - target
    J = casadi.jacobian(error, q)
    step = J.T @ casadi.solve(J @ J.T + STEP_DAMPING * casadi.SX.eye(3), error)
    return casadi.Function("observe", [x], [casadi.densify(casadi.vertcat(qd, error, step))])


def reach_cost(robot: Robot) -> CostModel:
    """Return the squared distance of the hand from the target, with weights on speeds and commands."""
    n = ARM + 3
    x, u, v = casadi.SX.sym("x", 2 * n), casadi.SX.sym("u", n), casadi.SX.sym("v", n)
    error = kinematics.tip_position(robot)(x[:ARM]) - x[ARM:n]
    return CostModel(
        x,
        u,
        v,
        [
            ("tip", Term(error, TargetSettings(weight=100.0, terminal=5.0))),
            ("speed", Term(x[n : n + ARM], StateCostSettings(weight=0.1, terminal=5.0))),
            ("command", Term(u[:ARM], CostSettings(weight=0.5))),
        ],
    )


def build() -> PandaReach:
    """Build the task; an error that names what is missing without MuJoCo or the robot's description."""
    return PandaReach()
