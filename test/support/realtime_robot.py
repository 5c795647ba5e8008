"""A run in real time without DDS: the loop in its thread, a robot, a clock that is set, and what a recorder has."""

import contextlib
import hashlib
import json
import struct
import threading

import numpy as np

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.controllers.factory import build_controller
from mbrl_ros.exceptions import TargetError
from mbrl_ros.messages.jogs import read_velocities
from mbrl_ros.messages.recorded_transforms import TRANSFORMED, transform_details
from mbrl_ros.replay.timeline import NEEDED
from mbrl_ros.robots import load_robot
from mbrl_ros.runtime.conditions import SystemClock
from mbrl_ros.runtime.control_loop import ControlLoop
from mbrl_ros.runtime.feedback_player import PLAN_VALIDITY, FeedbackPlayer
from mbrl_ros.runtime.mailbox import Arrival
from mbrl_ros.safety.supervisor import Supervisor
from mbrl_ros.types import Observation
from support.replay_bags import POINT, RATE, SETTINGS, START, STATE, TEXT, TWIST, VECTOR, Messages, write_bag

DT, EVERY = 1.0 / RATE, 2  # states come twice as often as ticks
LABELS = ("tick", *NEEDED)
WAIT = 60.0  # [s]: how long the test waits for the loop's thread before it fails


def exact(time: float) -> float:
    """As a message's stamp tells it."""
    second, nanosecond = divmod(round(1e9 * time), 10**9)
    return second + 1e-9 * nanosecond


class Robot:
    """A velocity-controlled robot of two joints, two states per tick."""

    def __init__(self, *, player: bool, seed: int = 0, k: int = 0):
        values = {
            **SETTINGS,
            "lockstep": False,
            "player_rate": EVERY * RATE if player else 0.0,
            "supervisor.start": "active",
            "robot.interface": "velocity",
        }
        own = {key: value for key, value in values.items() if key not in ("lockstep", "player_rate")}
        self.configuration = Configuration.from_flat(own)
        self.robot = load_robot(self.configuration.robot)
        self.controller = build_controller(self.robot, self.configuration)
        self.player = player
        self.make, self.rng = Messages(), np.random.default_rng(seed)
        self.q, self.qd, self.k, self.age, self.now = np.zeros(2), np.zeros(2), k, 0.0, START
        self.messages, self.digest, self.commands, self.late, self._turns = [], hashlib.sha256(), [], 0.0, 0
        self._newest: dict[str, float] = {}
        self._condition = threading.Condition()
        self.messages.append(
            (
                "/mbrl_session",
                TEXT,
                START - 1.0,
                self.make.text(json.dumps({"format": 1, "node": "/mpc_node", "parameters": values, "versions": {}})),
            )
        )
        self.loop = ControlLoop(
            self.controller,
            Supervisor(self.robot, self.configuration.supervisor, DT),
            self,
            SystemClock(lambda: self.age, lambda: self.now),
            dt=DT,
            timeout=self.configuration.control.state_timeout,
            player=FeedbackPlayer(2, DT, PLAN_VALIDITY * DT) if player else None,
            player_period=DT / EVERY if player else None,
        )
        self._take = self.loop.mailbox.take
        self.loop.mailbox.take = self._taking
        self.start()

    def start(self):
        """Activate."""
        self._turn(self.loop.start)

    @property
    def time(self) -> float:
        return START + self.k * DT / EVERY

    # --- the loop's outputs, as recorded: everything but the states a little out of order -----------------------------

    def command(self, stamp, u):
        self.digest.update(struct.pack("<d", stamp) + np.asarray(u).tobytes())
        self.commands.append(np.array(u))
        self.now = self.time + self.late
        self._record("/commands", VECTOR, self.make.command(u, stamp), 0.001)

    def tick(self, tick):
        values = {
            "tick": tick.index,
            "stamp": tick.observation.stamp,
            "compute_ms": 1e3 * tick.compute,
            "decision_status": -1.0 if tick.decision is None else float(tick.decision.status),
            "latency_ms": 1e3 * tick.latency,
            "missed": tick.missed,
            "number": tick.number,
            "late": tick.late,
            "frame": tick.frame,
            "targets": tick.targets,
        }
        self._record(
            "/mpc_node/status",
            VECTOR,
            self.make.labelled([values[label] for label in LABELS], ["test/1", *LABELS]),
            0.05,
        )

    def event(self, event):
        self._record("/mpc_node/event_log", TEXT, self.make.text(event.to_json()), 0.03)

    def log(self, level, text):
        raise AssertionError(text)

    def _record(self, topic, kind, data, apart):
        """Topics are `apart` [s] behind each other; each keeps its own order."""
        at = max(self._newest.get(topic, 0.0) + 1e-4, self.time + apart + 0.008 * self.rng.random())
        self._newest[topic] = at
        self.messages.append((topic, kind, at, data))

    def _taking(self, left):
        """The loop waits for a state: what it had to do is done."""
        with self._condition:
            self._turns += 1
            self._condition.notify_all()
        return self._take(left)

    def _turn(self, cause, *arguments):
        """cause(*arguments), and what the loop does about it."""
        with self._condition:
            wanted = self._turns + 1
        cause(*arguments)
        with self._condition:
            assert self._condition.wait_for(lambda: self._turns >= wanted, WAIT), "the loop is stuck"

    # --- what happens -------------------------------------------------------------------------------------------------

    def publish_states(self, periods: float, late: float = 0.2):
        """States for so many periods.

        A share `late` of the commands comes more than a period after its state. One state in ten between the ticks is
        overtaken: it is recorded, but the loop does not get it.
        """
        for _ in range(round(periods * EVERY)):
            stamp = exact(self.time)
            data = self.make.state(stamp, self.q, self.qd, (0.0, 0.0))
            self.messages.append(("/joint_states", STATE, self.time, data))
            due = self.k % EVERY == 0
            if due or self.player and self.rng.random() < 0.9:
                self.now, self.late = self.time, 1.3 * DT if self.rng.random() < late else 0.002
                self._turn(self.loop.mailbox.put, Arrival(Observation(stamp, self.q, self.qd), self.time))
            u, h = self.commands[-1], DT / EVERY
            acceleration = 5.0 * (u - self.qd)
            self.q, self.qd = self.q + h * self.qd, self.qd + h * acceleration + 1e-3 * self.rng.standard_normal(2)
            self.k += 1

    def miss_states(self, periods: int):
        """No states for so long that safe commands go out."""
        for _ in range(periods):
            self.k += EVERY
            self.age = self.time - START  # more than any time-out
            self._turn(self._pass_time)
        self.age = 0.0

    def _pass_time(self):
        self.now = self.loop.deadline.time + 1e-6

    def point(self, x, z, after=0.0):
        stamp = exact(self.time + after) if after else 0.0
        self._record("/mpc_node/target_point", POINT, self.make.point(stamp, (x, 0.0, z)), 0.02)
        try:
            self.controller.set_point_target(np.array([x, 0.0, z]), stamp)
        except TargetError:
            self.loop.target_refused("target_point", stamp)

    def point_in(self, frame, p, T):
        """A target in a frame that moves or is one of tf2, found at T (4, 4)."""
        numbers = [float(value) for value in p]
        self._record("/mpc_node/target_point", POINT, self.make.point(0.0, numbers, frame), 0.02)
        self.controller.set_point_target(T[:3, :3] @ numbers + T[:3, 3], 0.0)
        self.loop.tell_of_target(TRANSFORMED, **transform_details("target_point", frame, 0.0, numbers, T))

    def twist(self, v, after=0.0, frame=""):
        """A twist of the tool, stamped `after` [s] from now; one that cannot be used is recorded, too."""
        stamp = exact(self.time + after)
        self._record("/mpc_node/target_twist", TWIST, self.make.twist(stamp, v, frame=frame), 0.02)
        with contextlib.suppress(TargetError):
            self.controller.set_twist(np.array([*v, 0.0, 0.0, 0.0]), frame, stamp)

    def velocities(self, names, values):
        """Velocities of joints by name, stamped 0."""
        data = self.make.state(0.0, (), values, names=names)
        self._record("/mpc_node/target_velocities", STATE, data, 0.02)
        with contextlib.suppress(TargetError):
            message = self.make.store.deserialize_cdr(data, STATE)
            self.controller.set_velocities(read_velocities(message, self.robot.joints))

    def bag(self, folder):
        self.loop.stop()
        return write_bag(folder, sorted(self.messages, key=lambda message: message[2]))
