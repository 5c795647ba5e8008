"""The law that a faster controller plays: signs, columns, features, where it is zero; played at 1 kHz in MuJoCo."""

import dataclasses
from functools import cache

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.controllers.factory import build_controller
from mbrl_ros.robots import load_robot
from mbrl_ros.runtime.linear_feedback import law_of, open_loop
from mbrl_ros.safety.command import Command
from mbrl_ros.safety.factory import make_supervisor
from mbrl_ros.safety.state_machine import State
from mbrl_ros.types import Decision, DecisionStatus, Observation, Plan, PlanStatus
from support.needs import needs, present
from support.robots import planar_arm

if present("mujoco"):
    from mbrl_ros.simulation.plant import Plant

N, M, H = 2, 2, 3
NOW = Observation(5.0, np.array([0.1, 0.2]), np.zeros(N))


def plan(status=PlanStatus.CONVERGED) -> Plan:
    rng = np.random.default_rng(0)
    nx = 2 * N + 2 * M
    K = rng.standard_normal((H, N, nx))
    x_hat = rng.standard_normal((H + 1, nx))
    u_hat = rng.standard_normal((H, N))
    return Plan(x_hat, u_hat, K, np.zeros((H, N, N)), np.zeros((H, N)), np.ones((H, N, N)), 0.0, status, 1)


def decided(p: Plan) -> Decision:
    return Decision(NOW.stamp, p.u_hat[0], DecisionStatus.OK, p)


def test_the_law_is_the_plan_s_first_stage_where_the_image_moves_with_the_joints():
    p, G = plan(), np.array([[1.0, 2.0], [-3.0, 0.5]])
    law = law_of(decided(p), Command(p.u_hat[0], State.ACTIVE), NOW, G)
    middle = 0.5 * (p.x_hat[0] + p.x_hat[1])
    dq, dqd = np.array([0.02, -0.01]), np.array([-0.3, 0.1])
    deviation = np.concatenate((dq, dqd, G @ dq, G @ dqd))
    assert law.command(middle[:N] + dq, middle[N : 2 * N] + dqd) == pytest.approx(p.u_hat[0] + p.K[0] @ deviation)


def test_its_mean_over_a_period_on_the_plan_is_the_plan_s_command():
    p = plan()
    law = law_of(decided(p), Command(p.u_hat[0], State.ACTIVE), NOW, None)
    x = np.linspace(p.x_hat[0], p.x_hat[1], 11)[:, : 2 * N]
    assert np.mean([law.command(a[:N], a[N:]) for a in x], axis=0) == pytest.approx(p.u_hat[0])


def test_a_joint_whose_command_was_limited_has_no_feedback_and_the_other_has():
    p = plan()
    law = law_of(decided(p), Command(p.u_hat[0] + [0.0, 0.1], State.ACTIVE), NOW, None)
    assert law.K[0] == pytest.approx(-p.K[0][0, : 2 * N]) and not law.K[1].any()


@pytest.mark.parametrize("state", [state for state in State if state is not State.ACTIVE])
def test_in_every_other_state_the_command_alone_is_the_law(state):
    p, u = plan(), np.array([1.0, -2.0])
    law = law_of(decided(p), Command(u, state), NOW, None)
    assert not law.K.any() and law.command(np.ones(N), np.ones(N)) == pytest.approx(u)


@pytest.mark.parametrize("decision", (None, decided(plan(PlanStatus.DIVERGED))))
def test_without_a_plan_of_this_tick_the_command_alone_is_the_law(decision):
    assert not law_of(decision, Command(np.ones(N), State.ACTIVE), NOW, None).K.any()


def test_a_gain_that_is_not_finite_is_not_played():
    bad = dataclasses.replace(plan(), K=np.full((H, N, 2 * N + 2 * M), np.nan))
    law = law_of(decided(bad), Command(bad.u_hat[0], State.ACTIVE), NOW, None)
    assert not law.K.any() and np.isfinite(law.q).all()


# --- played in MuJoCo ---------------------------------------------------------------------------------------------


@cache
def played(feedback: bool, moved: bool, payload: float = 0.0) -> np.ndarray:
    """Errors (k, 2) [rad] at 1 kHz of an arm that is planned for at 100 Hz, with commands that come 2 ms late.

    feedback: the laws are played, else their commands are held. A seeded force pulls at the hand from 1 s on; or a
    payload [kg] is put on then. moved: the arm goes to another pose from 0.5 s on.
    """
    robot = load_robot(RobotSettings(interface="effort"), planar_arm(2))
    configuration = Configuration.from_flat({"control.rate": 100.0, "control.delay": 0.2, "planner.horizon": 10})
    controller, supervisor = build_controller(robot, configuration), make_supervisor(robot, configuration)
    plant = Plant(PlantSettings(rate=1000.0, timestep=0.001, initial_position=(-0.6, 1.2), seed=0), robot)
    measured, rng, force, laws, errors = plant.reset(), np.random.default_rng(0), np.zeros(2), [], []
    goal = measured.q + (np.array([0.4, -0.4]) if moved else 0.0)
    first = Observation(measured.stamp, measured.q, measured.qd)
    controller.reset(first)
    supervisor.reset(first)
    for k in range(2500):
        if k == 500 and moved:
            controller.set_joint_target(goal, stamp=measured.stamp)
        if k % 10 == 0:
            observation = Observation(measured.stamp, measured.q, measured.qd)
            decision = controller.step(observation)
            command = supervisor.filter(decision, observation)
            controller.record(observation.stamp, command.u)
            law = law_of(decision, command, observation, None) if feedback else open_loop(command.u, measured.q)
            laws.append((k + 2, law))
        arrived = [law for since, law in laws[-2:] if since <= k]
        u = arrived[-1].command(measured.q, measured.qd) if arrived else np.zeros(2)
        if k >= 1000 and k % 5 == 0 and not payload:
            force = 0.8 * force + 6.0 * rng.standard_normal(2)
            plant.data.xfrc_applied[-1, [0, 2]] = force
        if k == 1000:
            plant.set_payload(payload)
        measured = plant.step(u)
        errors.append(plant.truth.q - goal)
    assert command.state is State.ACTIVE and not plant.rejected
    return np.array(errors)


def rms(errors: np.ndarray) -> float:
    return float(np.sqrt((errors**2).mean()))


@needs("mujoco")
@pytest.mark.slow(but=1)
@pytest.mark.parametrize("moved", (False, True))
def test_a_force_at_the_hand_moves_the_arm_less_than_with_held_commands(moved):
    with_feedback, held = (rms(played(feedback, moved)[1500:]) for feedback in (True, False))
    assert with_feedback < 0.9 * held


@needs("mujoco")
@pytest.mark.slow
def test_a_load_is_learned_about_while_the_law_is_played():
    with_feedback, held = (np.abs(played(feedback, False, 1.0)[1000:]) for feedback in (True, False))
    assert with_feedback.max() < held.max() and with_feedback[-300:].max() < 3e-3
