"""The safe effort stops within the braking distance, carries an unknown load, and is stable over its range."""

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.sections.safety import SupervisorSettings
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.effective_inertia import LEAST
from mbrl_ros.safety.arrest import LARGEST_RATIO, UNKNOWN_ROTORS, Arrest
from mbrl_ros.safety.safe_command import SafeCommand
from mbrl_ros.safety.state_machine import Reason, Request, State
from mbrl_ros.safety.supervisor import Supervisor
from mbrl_ros.types import Decision, DecisionStatus, Observation
from support.robots import planar_arm

DT = 0.005
INERTIA = 0.25 / 3.0  # of a rod of 1 kg and 0.5 m about its end


def one_joint(effort=1000.0, bare=False, n=1):
    text = planar_arm(n, effort=effort)
    return load_robot(
        RobotSettings(), text.replace("<inertial>", "<!--").replace("</inertial>", "-->") if bare else text
    )


def at(q, qd, stamp=0.0):
    return Observation(stamp, np.atleast_1d(np.array(q, dtype=float)), np.atleast_1d(np.array(qd, dtype=float)))


class Joint:
    """A double integrator of inertia M_s / `ratio`: the law assumes `ratio` times its inertia; `load` [N m].

    `rotor` [kg m^2] is A, the rotor inertia that the integral reckons with; the effort limit is moved out of the way.
    """

    def __init__(
        self, ratio=1.0, *, speed=0.0, load=0.0, carried=0.0, dt=DT, stops=(-np.inf, np.inf), rotor=0.0, **settings
    ):
        self.arrest = Arrest(
            one_joint(effort=max(1e-6, LEAST * rotor / UNKNOWN_ROTORS)), SupervisorSettings(**settings), dt
        )
        self.arrest.robot = one_joint()
        self.arrest.reset(np.array([carried]))
        self.inertia, self.load, self.stops = INERTIA / ratio, load, stops
        self.q, self.qd, self.dt = 0.0, speed, dt
        self.path, self.speeds, self.efforts, self.w = [0.0], [speed], [], []

    def run(self, seconds):
        for _ in range(round(seconds / self.dt)):
            u = float(np.clip(self.arrest.command(at(self.q, self.qd))[0], -1000.0, 1000.0))
            qdd = (u + self.load) / self.inertia
            self.q += self.dt * (self.qd + 0.5 * self.dt * qdd)
            self.qd += self.dt * qdd
            if not self.stops[0] <= self.q <= self.stops[1]:
                self.q, self.qd = float(np.clip(self.q, *self.stops)), 0.0
            self.path.append(self.q)
            self.speeds.append(self.qd)
            self.efforts.append(u)
            self.w.append(float(self.arrest._w[0]))
        return self


# --- the linear law ---


@pytest.mark.parametrize(
    "ratio, seconds, rest", ((3.0, 5.0, 1e-5), (1.0, 5.0, 1e-5), (1.0 / 3.0, 8.0, 1e-4), (1.0 / 8.0, 60.0, 1e-2))
)
def test_a_joint_with_up_to_eight_times_the_assumed_inertia_comes_to_rest(ratio, seconds, rest):
    """And with a third of it; from 1 rad/s, and from rest under an unknown load, which the integral then carries."""
    joint = Joint(ratio, speed=1.0).run(seconds)
    assert np.ptp(joint.path[-400:]) < rest
    loaded = Joint(ratio, load=0.5).run(seconds)
    assert np.ptp(loaded.path[-400:]) < rest and loaded.path[-1] == pytest.approx(0.0, abs=rest)
    assert np.mean(loaded.w[-400:]) == pytest.approx(0.5, abs=max(rest, 1e-4))


@pytest.mark.parametrize("ratio, grows", ((1.0 / 8.0, False), (1.0 / 10.0, True)))
def test_it_is_stable_up_to_nine_times_the_assumed_inertia(ratio, grows):
    """Routh: s^3 + c r s^2 + c^2 r / 3 s + c^3 r / 27 with c r c^2 r / 3 > c^3 r / 27 is r > 1/9.

    The tick is a millisecond: the limit of the law itself and not of its sampling.
    """
    speeds = np.abs(Joint(ratio, speed=0.5, dt=0.001).run(12.0).speeds)
    early, late = speeds[2000:4000].max(), speeds[-2000:].max()
    assert (late > 1.3 * early) == grows and (late < 0.8 * early) == (not grows)


@pytest.mark.slow
@pytest.mark.parametrize("share, grows", ((1.0, False), (8.0, False), (10.0, True)))
def test_it_is_stable_with_any_rotor_that_is_believed_before_it_is_learned(share, grows):
    """M_s is that of the links, A five times as much, M = `share` (M_s + A); the limit is 9 (M_s + A)."""
    joint = Joint(1.0 / (6.0 * share), speed=0.2, dt=0.001, rotor=5.0 * INERTIA).run(90.0)
    speeds = np.abs(joint.speeds)
    early, late = speeds[15000:30000].max(), speeds[-15000:].max()
    assert (late > 1.3 * early) == grows and (late < 0.8 * early) == (not grows)


def test_coupled_joints_whose_rotors_nobody_knows_come_to_rest():
    """Two joints, M = M_s + diag(A), A up to 30 times M_s in one combination; and the guard is told the same."""
    robot, pose = one_joint(n=2), np.array([0.3, 1.2])
    law = SafeCommand(one_joint(n=2, effort=LEAST / UNKNOWN_ROTORS), SupervisorSettings(), DT)  # A = 1 kg m^2
    arrest, c = law.arrest, SupervisorSettings().arrest_rate
    arrest.robot = robot
    arrest.reset(np.zeros(2))
    assumed = arrest.inertia(pose)
    inertia = assumed + np.eye(2)
    assert np.linalg.eigvals(np.linalg.solve(assumed, inertia)).real.max() > 10.0
    q, qd, speeds = pose, np.array([0.5, -0.5]), []
    for _ in range(round(20.0 / DT)):
        qdd = np.linalg.solve(inertia, arrest.command(at(q, qd)))
        q, qd = q + DT * (qd + 0.5 * DT * qdd), qd + DT * qdd
        speeds.append(np.abs(qd).max())
    assert max(speeds[-200:]) < 0.02 and max(speeds) <= 0.8
    integral = law.linear_effort(pose).integral
    np.testing.assert_allclose(integral, c**3 / 27.0 * assumed @ np.linalg.solve(inertia, assumed), rtol=1e-9)


@pytest.mark.parametrize("speed", (0.05, 1.0, -2.5))
def test_it_brakes_with_the_acceleration_limit_and_stops_within_the_braking_distance(speed):
    """7.5 rad/s^2, and c dt = a tenth more while a reference that is one tick ahead is caught up with."""
    joint = Joint(speed=speed).run(3.0)
    slowing = -np.diff(joint.speeds) / DT * np.sign(speed)
    assert slowing.max() <= 7.5 * 1.1 and slowing.min() >= -0.1 * 7.5
    assert np.sign(speed) * joint.path[-1] == pytest.approx(speed**2 / 15.0, abs=3e-3)
    assert abs(joint.speeds[-1]) < 1e-5
    assert np.abs(joint.path).max() <= speed**2 / 15.0 + 3e-3  # 3 mm a metre from the joint


@pytest.mark.parametrize("ratio, way", ((3.0, 0.01), (1.0 / 2.0, 0.03), (1.0 / 4.0, 0.08)))
def test_a_wrong_inertia_costs_little_way_and_no_shock(ratio, way):
    """Beyond the braking distance, from 1 rad/s. A third of the assumed inertia is slowed three times as hard."""
    joint = Joint(ratio, speed=1.0).run(5.0)
    assert np.abs(joint.path).max() <= 1.0 / 15.0 + way
    assert np.abs(np.diff(joint.speeds)).max() / DT <= 7.5 * 1.1 * max(1.0, ratio)
    assert -min(joint.speeds) <= 0.4  # and swings back no faster than that


def test_the_integral_stands_still_while_the_command_is_at_its_limit():
    """Ten seconds held away by force: M c^2/3 0.5 rad = 5.6 N m is beyond the 2 N m from the first tick on."""
    weak = Arrest(one_joint(effort=2.0), SupervisorSettings(), DT)
    weak.reset(np.zeros(1))
    weak.command(at(0.0, 0.0))
    for _ in range(2000):
        assert weak.command(at(0.5, 0.0))[0] < -2.0 and weak._w[0] == 0.0
    assert abs(weak.command(at(0.0, 0.0))[0]) < 1e-9  # released: at once back to what carried it


def test_a_joint_pushed_against_a_stop_for_long_is_let_go_without_a_throw():
    """30 N m push it against a stop for ten seconds, with 40 N m; then the joint comes to rest where it began."""
    joint = Joint(load=0.0, stops=(-0.001, 0.05))
    joint.arrest.robot = one_joint(effort=40.0)
    joint.run(0.1)
    joint.load = 30.0
    joint.run(10.0)
    assert max(joint.w) <= 40.0
    stopped = joint.path[-1]
    joint.load, joint.stops = 0.0, (-np.inf, np.inf)
    joint.run(5.0)
    assert abs(joint.path[-1]) < 1e-3 and abs(joint.speeds[-1]) < 1e-2 and 0.0 <= stopped <= 0.05


def test_a_small_pull_for_long_winds_only_to_the_limit():
    """0.05 rad away for a hundred seconds: c^3/27 M 0.05 = 1.2 N m/s would be 123 N m; it ends at 2 N m."""
    weak = Arrest(one_joint(effort=2.0), SupervisorSettings(), DT)
    weak.reset(np.zeros(1))
    weak.command(at(0.0, 0.0))
    stiffness = INERTIA * 400.0 / 3.0 * 0.05
    for _ in range(20000):
        u = weak.command(at(0.05, 0.0))
    assert weak._w[0] == pytest.approx(2.0 - stiffness, abs=0.01) and u[0] == pytest.approx(-2.0, abs=0.01)
    weak.command(at(-0.05, 0.0))
    assert weak._w[0] < 2.0 - stiffness


@pytest.mark.parametrize("side", (-1.0, 1.0))
def test_the_integral_is_never_more_than_the_limit(side):
    """A mean command at the other limit leaves it room for twice the effort; it takes once."""
    weak = Arrest(one_joint(effort=2.0), SupervisorSettings(), DT)
    weak.reset(np.array([side * 2.0]))
    weak.command(at(0.0, 0.0))
    for _ in range(20000):
        weak.command(at(side * 0.01, 0.0))
    assert weak._w[0] == pytest.approx(side * 2.0)


# --- the mean command ---


def test_the_mean_is_that_of_the_commands_that_were():
    """Bias-corrected: after k commands their plain mean, later with a memory of half a second."""
    arrest = Arrest(one_joint(), SupervisorSettings(mean_time=0.5), DT)
    arrest.reset(np.array([9.0]))
    given = np.random.default_rng(0).normal(5.0, 1.0, 100)
    for k, u in enumerate(given):
        arrest.applied(np.array([u]))
        assert arrest.mean[0] == pytest.approx(given[: k + 1].mean())
    for _ in range(100):  # now 0.99 of it stays per tick
        arrest.applied(np.zeros(1))
    assert arrest.mean[0] == pytest.approx(given.mean() * 0.99**100)


def test_shares_of_a_period_count_as_such():
    whole, halves = (Arrest(one_joint(), SupervisorSettings(), DT) for _ in range(2))
    for arrest in (whole, halves):
        arrest.reset(np.zeros(1))
    for u in (1.0, 4.0, -2.0):
        whole.applied(np.array([u]))
        for _ in range(2):
            halves.applied(np.array([u]), 0.5)
    assert halves.mean[0] == pytest.approx(whole.mean[0]) and whole.mean[0] == pytest.approx(1.0)


def test_at_rest_it_goes_on_with_what_carried_the_arm():
    joint = Joint(load=-2.0, carried=2.0).run(1.0)
    assert np.abs(joint.path).max() < 1e-9 and joint.efforts[-1] == pytest.approx(2.0)


@pytest.mark.parametrize("then, expected", (("mean", 3.0), ("zero", 0.0)))
def test_without_states_the_mean_goes_on_and_then_what_was_chosen(then, expected):
    watched = Supervisor(
        one_joint(),
        SupervisorSettings(
            blind_time=0.5, blind_effort=then, command_rate=(1.0,), stale_limit=10.0, ramp_time_effort=0.0
        ),
        DT,
    )
    for _ in range(200):
        watched.filter(Decision(0.0, np.array([3.0]), DecisionStatus.OK), at(0.0, 0.0))
    blind = [watched.stale(0.1 + k * DT).u[0] for k in range(150)]
    assert blind[:100] == pytest.approx([3.0] * 100) and blind[100:] == pytest.approx([expected] * 50)
    # a state again: it stays where the arm is now, not where it was, and blindness begins anew
    for q in (0.7, -0.4):
        assert watched.failed(at(q, 0.0)).u[0] == pytest.approx(3.0)
        assert watched.stale(0.1).u[0] == pytest.approx(3.0)


def test_after_a_command_of_the_controller_it_starts_anew_where_the_arm_is():
    joint = Joint(load=1.0).run(2.0)
    assert joint.w[-1] == pytest.approx(1.0, abs=1e-2)
    joint.arrest.applied(np.array([-1.0]))
    u = joint.arrest.command(at(2.0, 0.0))
    assert joint.arrest._w[0] == 0.0 and u[0] == pytest.approx(joint.arrest.mean[0])


def test_while_the_ramp_begins_it_goes_on_from_where_it_was():
    """RAMP_IN blends from the safe command, which must not follow the arm meanwhile."""
    arrest = Arrest(one_joint(), SupervisorSettings(), DT)
    arrest.reset(np.zeros(1))
    arrest.command(at(0.0, 0.0))
    arrest.applied(np.zeros(1), ends=False)
    assert arrest.command(at(0.01, 0.0))[0] == pytest.approx(-INERTIA * 400.0 / 3.0 * 0.01)
    watched = Supervisor(one_joint(), SupervisorSettings(command_rate=(1.0,), ramp_time_effort=1000 * DT), DT)
    for k in range(
        20
    ):  # the controller requests nothing, the arm drifts away: the safe command, nearly whole yet, pulls back
        command = watched.filter(Decision(0.0, np.zeros(1), DecisionStatus.OK), at(0.001 * k, 0.0))
    assert command.state is State.RAMP_IN
    assert command.u[0] <= -0.9 * INERTIA * 400.0 / 3.0 * 0.019


# --- its inertia ---


def test_the_inertia_is_between_that_of_the_links_and_four_times_it():
    robot, pose = one_joint(n=2), np.array([0.3, 1.2])
    arrest = Arrest(robot, SupervisorSettings(), DT)
    links = arrest.inertia(pose)
    assert abs(links[0, 1]) > 0.1  # coupled
    arrest.fitted = 0.01 * links
    np.testing.assert_allclose(arrest.inertia(pose), links, rtol=1e-9)
    arrest.fitted = 100.0 * links
    np.testing.assert_allclose(arrest.inertia(pose), LARGEST_RATIO * links, rtol=1e-9)
    arrest.fitted = 2.0 * links
    np.testing.assert_allclose(arrest.inertia(pose), 2.0 * links, rtol=1e-9)
    assert LARGEST_RATIO == 4.0


def test_every_combination_of_joints_has_its_own_bounds():
    """A fit that is too small in one, right in none and absurd in the other: 1 and 4 along what makes both diagonal."""
    robot, pose = one_joint(n=2), np.array([0.3, 1.2])
    arrest = Arrest(robot, SupervisorSettings(), DT)
    links = arrest.inertia(pose)
    L = np.linalg.cholesky(links)
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    for given, kept in (((-3.0, 50.0), (1.0, 4.0)), ((0.2, 2.5), (1.0, 2.5)), ((3.0, 100.0), (3.0, 4.0))):
        arrest.fitted = L @ turn @ np.diag(given) @ turn.T @ L.T
        np.testing.assert_allclose(arrest.inertia(pose), L @ turn @ np.diag(kept) @ turn.T @ L.T, rtol=1e-9, atol=1e-12)


def test_a_fit_that_is_absurd_where_nothing_moved_does_not_spoil_what_carries_the_arm():
    """The mean effort of a motion is freed of what accelerated the arm: by the bounded inertia, never by the fit."""
    robot, pose, acceleration = one_joint(n=2), np.array([0.3, 1.2]), np.array([2.0, -1.5])
    arrest, carrying = Arrest(robot, SupervisorSettings(), DT), np.array([5.0, 1.0])
    links = arrest.inertia(pose)
    L = np.linalg.cholesky(links)
    arrest.reset(carrying)
    arrest.fitted = L @ np.diag((-20.0, 400.0)) @ L.T
    for k in range(60):
        arrest.applied(carrying + links @ acceleration, observation=Observation(DT * k, pose, DT * k * acceleration))
    spared = arrest.mean - arrest.carrying_at_rest
    assert np.abs(spared).max() <= 2.0 * LARGEST_RATIO * np.abs(links @ acceleration).max()


def test_rotors_that_are_given_belong_to_the_least():
    robot = load_robot(RobotSettings(rotor_inertia=(0.5,)), planar_arm(1))
    np.testing.assert_allclose(Arrest(robot, SupervisorSettings(), DT).inertia(np.zeros(1)), [[INERTIA + 0.5]])


def test_the_supervisor_takes_the_fit_from_the_decisions():
    watched, fit = Supervisor(one_joint(), SupervisorSettings(), DT), np.array([[2.0 * INERTIA]])
    watched.filter(Decision(0.0, np.zeros(1), DecisionStatus.OK, inertia=fit), at(0.0, 0.0))
    watched.filter(Decision(0.0, np.zeros(1), DecisionStatus.OK), at(0.0, 0.0))  # none any more: the last one stands
    assert watched.safe.arrest.fitted is fit


def test_without_inertials_it_is_not_ready_and_says_what_to_do():
    bare = one_joint(bare=True)
    unready = Supervisor(bare, SupervisorSettings(), DT).unready
    assert "no usable <inertial>" in unready and "supervisor.safe_effort" in unready and "\n" not in unready
    for other in ("zero", "damp", "hold"):
        assert Supervisor(bare, SupervisorSettings(safe_effort=other), DT).unready == ""
    assert Supervisor(one_joint(), SupervisorSettings(), DT).unready == ""
    for interface in ("velocity", "position"):
        text = planar_arm(1).replace("<inertial>", "<!--").replace("</inertial>", "-->")
        assert Supervisor(load_robot(RobotSettings(interface=interface), text), SupervisorSettings(), DT).unready == ""


def test_it_ends_with_the_mean_since_nobody_would_end_the_braking():
    watched = Supervisor(one_joint(), SupervisorSettings(command_rate=(1.0,), ramp_time_effort=0.0), DT)
    for _ in range(100):
        watched.filter(Decision(0.0, np.array([3.0]), DecisionStatus.OK), at(0.0, 1.0))
    assert watched.stop(at(0.0, 1.0), Reason.STOPPING).u[0] == pytest.approx(3.0)
    watched.request(Request.E_STOP)
    assert watched.stop(at(0.0, 1.0), Reason.REQUESTED).u[0] < 3.0 - 0.9 * INERTIA * 7.5
    assert watched.state is State.E_STOP
