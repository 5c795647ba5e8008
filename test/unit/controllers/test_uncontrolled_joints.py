"""Joints that are not controlled stand where they are measured: a target is a point in the base frame."""

import json
from types import SimpleNamespace as Fields

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.controllers.factory import build_controller
from mbrl_ros.messages.input_gate import InputGate
from mbrl_ros.messages.readers import JointStateReader
from mbrl_ros.replay import ReplayOptions, replay
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.kinematics import Kinematics, tip_position
from mbrl_ros.runtime.conditions import SteppedConditions
from mbrl_ros.runtime.control_cycle import ControlCycle
from mbrl_ros.runtime.event_log import Event
from mbrl_ros.runtime.mailbox import Arrival
from mbrl_ros.safety.supervisor import Supervisor
from support.needs import needs
from support.replay_bags import POINT, START, STATE, TEXT, VECTOR, Messages, write_bag
from support.robots import lifted_arm, planar_robot

RATE, SEED = 100.0, 5
ARM = ("joint1", "joint2", "joint3")
SETTINGS = {
    "robot.description": lifted_arm(),
    "robot.joints": ARM,
    "robot.tip": "hand",
    "robot.tip_offset": (0.0, 0.0, 0.1),
    "control.rate": RATE,
    "control.delay": 0.0,
    "planner.horizon": 10,
    "planner.backend": "casadi",
    "planner.iterations": 1,
    "supervisor.start": "active",
}
HOME = np.array([1.1, -1.7, 0.9])


def configured(interface):
    configuration = Configuration.from_flat({**SETTINGS, "robot.interface": interface})
    return load_robot(configuration.robot), configuration


class Run:
    """A robot that does what the velocity or position command says, over one period; its lift and roll are moved."""

    def __init__(self, interface, separate=False, controller=None):
        self.robot, configuration = configured(interface)
        if controller:
            configuration = Configuration.from_flat({**configuration.flat(), "control.controller": controller})
        self.interface, self.separate = interface, separate
        self.controller = build_controller(self.robot, configuration)
        supervisor = Supervisor(self.robot, configuration.supervisor, 1.0 / RATE)
        self.cycle = ControlCycle(self.controller, supervisor, self, SteppedConditions(), dt=1.0 / RATE, timeout=0.05)
        self.gate = InputGate("joint_states", timeout=0.05, clock="stamps")
        self.reader = JointStateReader(self.robot, self.gate)
        self.kinematics, self.make, self.rng = Kinematics(self.robot), Messages(), np.random.default_rng(SEED)
        self.q, self.qd, self.lift, self.roll, self.k = HOME.copy(), np.zeros(3), 0.3, 0.8, 0
        self.u = HOME.copy() if interface == "position" else np.zeros(3)
        self.messages, self.commands, self.errors, self.goals = [], [], [], 0

    # --- the outputs of the cycle ---

    def command(self, stamp, u):
        self.u = np.array(u)
        self.commands.append(self.u)
        self.messages.append(("/commands", VECTOR, stamp + 0.001, self.make.command(u, stamp)))

    def tick(self, tick):
        """Keep nothing."""

    def event(self, event):
        self.messages.append(("/mpc_node/event_log", TEXT, self.stamp, self.make.text(event.to_json())))

    def log(self, level, text):
        self.errors += [text] if level == "error" else []

    # --- the robot ---

    @property
    def stamp(self):
        return START + round(1e9 * self.k / RATE) * 1e-9

    @property
    def tip(self):
        """Where the end effector is (3,) [m], by the lift and roll as they are."""
        self.kinematics.place(np.array([self.lift, self.roll]))
        return self.kinematics.position(self.q)

    def target(self, p):
        self.messages.append(("/mpc_node/target_point", POINT, self.stamp - 0.002, self.make.point(0.0, p, "ground")))
        self.controller.set_point_target(np.array(p))

    def step(self, lift_speed=0.0, change=lambda values: None):
        """Answer a state and move on; `change` spoils the reported values [lift, roll, q...]."""
        values = np.concatenate(([self.lift, self.roll], self.q + 1e-5 * self.rng.standard_normal(3)))
        change(values)
        qd = np.concatenate(([lift_speed, 0.0], self.qd + 1e-3 * self.rng.standard_normal(3)))
        names = np.array(["lift", "roll", *ARM])
        parts = ([0, 1], [2, 3, 4]) if self.separate else ([0, 1, 4, 3, 2],)
        for part in parts:
            data = self.make.state(self.stamp, values[part], qd[part], names=names[part].tolist())
            self.messages.append(("/joint_states", STATE, self.stamp, data))
            reading = self.reader.read(self.make.store.deserialize_cdr(data, STATE), 0.0)
            positions = self.reader.take_uncontrolled()
            if positions is not None:
                self.event(self.cycle.event("uncontrolled_joints", positions=positions.tolist()))
                self.controller.place_uncontrolled(positions)
            if reading is not None:
                self.cycle.tick(Arrival(reading.observation, reading.observation.stamp, None, reading.restarted))
        wanted = self.u if self.interface == "velocity" else 20.0 * (self.u - self.q)
        self.qd = np.clip(wanted, -3.0, 3.0)
        self.q, self.lift, self.k = self.q + self.qd / RATE, self.lift + lift_speed / RATE, self.k + 1


def point_for(robot, q, lift, roll):
    kinematics = Kinematics(robot)
    kinematics.place(np.array([lift, roll]))
    return kinematics.position(np.array(q))


# --- kinematics -----------------------------------------------------------------------------------------------------


def test_joints_before_and_behind_the_controlled_ones_move_the_end_effector():
    robot, _ = configured("velocity")
    assert robot.uncontrolled == ("lift", "roll")
    kinematics, zero = Kinematics(robot), np.array(tip_position(robot)(HOME)).ravel()
    np.testing.assert_allclose(kinematics.position(HOME), zero, atol=1e-15)
    kinematics.place(np.array([0.3, 0.0]))
    np.testing.assert_allclose(kinematics.position(HOME) - zero, [0.0, 0.0, 0.3], atol=1e-15)
    kinematics.place(np.array([0.0, np.pi / 2]))  # the tip's offset along z turns to -y
    np.testing.assert_allclose(kinematics.position(HOME)[1], -0.1, atol=1e-15)
    kinematics.place(np.array([0.2, 0.7]))
    Q, R = np.stack((HOME, HOME + 0.1)), np.array([[0.2, 0.7], [0.3, 0.0]])
    np.testing.assert_allclose(kinematics.positions(Q)[0], kinematics.position(HOME), atol=1e-15)
    np.testing.assert_allclose(kinematics.positions(Q, R)[0], kinematics.position(HOME), atol=1e-15)
    np.testing.assert_allclose(kinematics.positions(Q, R)[1], point_for(robot, HOME + 0.1, 0.3, 0.0), atol=1e-15)
    mapped = kinematics.position_map(2)
    np.testing.assert_allclose(mapped(Q), kinematics.positions(Q), atol=1e-15)
    kinematics.place(np.array([0.4, 0.7]))
    np.testing.assert_allclose(mapped(Q), kinematics.positions(Q), atol=1e-15)
    step = 1e-6 * np.eye(3)
    slopes = [(kinematics.position(HOME + d) - kinematics.position(HOME - d)) / 2e-6 for d in step]
    np.testing.assert_allclose(kinematics.jacobian(HOME).T, slopes, atol=1e-8)


def test_an_arm_whose_joints_are_all_controlled_has_no_others():
    robot = planar_robot(3, "velocity")
    assert robot.uncontrolled == () and tip_position(robot).n_in() == 1
    assert Kinematics(robot).uncontrolled.shape == (0,)
    controller = build_controller(robot, Configuration.from_flat({"robot.interface": "velocity"}))
    assert controller.uncontrolled is None and "point_target.uncontrolled" not in controller.cost.layout


def test_the_excitation_knows_how_far_the_end_effector_moves_where_they_are():
    robot, configuration = configured("velocity")
    excited = Configuration.from_flat({**configuration.flat(), "excitation.when": "always"})
    controller, motion = build_controller(robot, excited), np.array([1e-3, 2e-3, 3e-3])
    controller.place_uncontrolled(np.array([0.4, 1.5]))
    placed = Kinematics(robot)
    at_zero = np.linalg.norm(placed.jacobian(HOME), axis=0) @ motion
    placed.place(np.array([0.4, 1.5]))
    wanted = np.linalg.norm(placed.jacobian(HOME), axis=0) @ motion
    assert controller._excitation._planned(HOME, motion) == pytest.approx(wanted, rel=1e-12)
    assert abs(wanted - at_zero) > 0.005 * wanted


# --- reading --------------------------------------------------------------------------------------------------------


def message(stamp, **positions):
    header = Fields(stamp=Fields(sec=int(stamp), nanosec=round(1e9 * (stamp % 1.0))))
    return Fields(header=header, name=list(positions), position=list(positions.values()), velocity=(), effort=())


def test_positions_come_with_the_states_or_by_themselves():
    robot, _ = configured("velocity")
    gate = InputGate("joint_states", timeout=0.05, clock="stamps")
    reader = JointStateReader(robot, gate)
    arm = dict.fromkeys(ARM, 0.1)
    reader.read(message(1.0, **arm, lift=0.2), 1.0)  # the first state has no velocities yet
    reading = reader.read(message(1.01, **arm, lift=0.21), 1.01)
    np.testing.assert_array_equal(reading.observation.uncontrolled, [0.21, np.nan])
    assert reader.take_uncontrolled() is None and reader.others.unknown == ["roll"]
    assert reader.read(message(1.015, roll=0.5, gripper=0.0), 1.015) is None
    np.testing.assert_array_equal(reader.take_uncontrolled(), [np.nan, 0.5])
    assert reader.others.unknown == [] and not gate.rejected
    assert reader.read(message(1.02, **arm), 1.02).observation.uncontrolled is None
    assert reader.read(message(1.025, gripper=0.0), 1.025) is None
    assert reader.take_uncontrolled() is None and gate.rejected == {"missing joints": 1}  # nothing of this robot's


def test_joints_whose_positions_come_no_more_are_known():
    """Whatever the other joints' messages say; one that never came is unknown, not silent."""
    robot, _ = configured("velocity")
    reader, arm = (
        JointStateReader(robot, InputGate("joint_states", timeout=0.05, clock="stamps")),
        dict.fromkeys(ARM, 0.1),
    )
    for k in range(300):
        t = 1.0 + 0.01 * k
        reader.read(message(t, **arm, **({"lift": 0.2} if k < 100 else {})), t)
        if not 198 < k < 201:  # one second after the last
            assert reader.others.silent(t) == (["lift"] if k > 200 else [])
    reader.read(message(4.005, lift=0.2), 4.005)
    assert reader.others.silent(4.01) == [] and reader.others.unknown == ["roll"]


@pytest.mark.parametrize("bad", (1e-2, 1.0, 1e3, 1e12, np.nan, np.inf))
def test_one_bad_position_has_no_effect(bad):
    robot, _ = configured("velocity")
    reader = JointStateReader(robot, InputGate("joint_states", timeout=0.05, clock="stamps"))
    arm = dict.fromkeys(ARM, 0.1)
    taken = []
    for k in range(20):
        reading = reader.read(message(1.0 + 0.01 * k, **arm, lift=0.2 + (bad if k == 10 else 0.0), roll=0.0), 0.0)
        taken += [] if reading is None else [reading.observation.uncontrolled[0]]
    assert np.nanmax(np.abs(np.array(taken) - 0.2)) == 0.0


# --- reaching -------------------------------------------------------------------------------------------------------


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("separate", (False, True), ids=("in one message", "in their own messages"))
@pytest.mark.parametrize("interface", ("velocity", "position"))
def test_a_point_is_reached_whatever_the_lift_does(interface, separate):
    run = Run(interface, separate)
    for _ in range(20):
        run.step()
    p = point_for(run.robot, HOME + [0.3, 0.2, -0.2], 0.3, 0.8)
    run.target(p)
    for _ in range(300):
        run.step()
    assert np.linalg.norm(run.tip - p) < 2e-3
    off = []
    for k in range(400):  # the lift sinks by 0.15 m
        run.step(lift_speed=-0.1 if k < 150 else 0.0)
        off.append(np.linalg.norm(run.tip - p))
    assert run.lift == pytest.approx(0.15) and off[-1] < 2e-3
    assert max(off) < 0.02  # while the lift moves at 0.1 m/s
    assert run.errors == []


@pytest.mark.parametrize("separate", (False, True), ids=("in one message", "in their own messages"))
def test_the_supervisor_knows_where_they_are(separate, monkeypatch):
    run, seen = Run("velocity", separate), []
    supervisor = run.cycle.supervisor
    filtered = supervisor.filter

    def remembering(decision, observation, warnings):
        seen.append(observation.uncontrolled)
        return filtered(decision, observation, warnings)

    monkeypatch.setattr(supervisor, "filter", remembering)
    for _ in range(5):
        run.step()
    np.testing.assert_allclose(seen[-1], [0.3, 0.8], atol=1e-12)
    assert run.errors == []


def test_bad_positions_of_the_lift_hardly_move_the_arm():
    good, spoilt = (Run("velocity") for _ in range(2))
    rng = np.random.default_rng(SEED)
    p, off = point_for(good.robot, HOME + [0.3, 0.2, -0.2], 0.3, 0.8), []
    for k in range(250):
        if k == 20:
            good.target(p)
            spoilt.target(p)
        good.step()
        size = 10.0 ** rng.uniform(-3.0, 12.0) * rng.choice((-1.0, 1.0))
        spoilt.step(change=lambda values, k=k, size=size: values.__setitem__(0, values[0] + size * (k % 10 == 5)))
        off.append(np.linalg.norm(good.tip - spoilt.tip))
    assert max(off) < 3e-3


def test_a_target_that_the_lift_takes_out_of_reach_is_told_of_once():
    run = Run("velocity")
    for _ in range(5):
        run.step()
    p = point_for(run.robot, [0.9, 0.05, 0.0], 0.3, 0.8)  # nearly stretched upward
    run.target(p)
    notes = []
    for _ in range(150):
        run.step(lift_speed=-0.2)
        notes += run.controller.take_target_notes()
    assert len(notes) == 1 and "['lift', 'roll'], which are not controlled, took it out of reach" in notes[0]
    run.controller.set_joint_target(HOME)
    run.step()
    assert run.controller.target.kind == "joints" and run.errors == []


# --- replay ---------------------------------------------------------------------------------------------------------


@needs("rosbags")
@pytest.mark.parametrize("separate", (False, True), ids=("in one message", "in their own messages"))
def test_a_replay_puts_them_where_they_were(tmp_path, separate):
    run = Run("velocity", separate)
    session = {"format": 1, "node": "/mpc_node", "versions": {}}
    values = {**SETTINGS, "robot.interface": "velocity", "use_sim_time": False, "lockstep": True}
    text = json.dumps({**session, "parameters": values})
    run.messages.append(("/mbrl_session", TEXT, START - 1.0, run.make.text(text)))
    run.event(Event("activate", 0))
    for k in range(200):
        if k == 20:
            run.target(point_for(run.robot, HOME + [0.3, 0.2, -0.2], 0.3, 0.8))
        run.step(lift_speed=-0.1 if 60 < k < 120 else 0.0)
    made = replay(ReplayOptions(write_bag(tmp_path / "bag", run.messages)))
    compared = made.summary["difference"]
    assert compared["identical"] == compared["compared"] == made.summary["ticks"] == len(run.commands) == 200
