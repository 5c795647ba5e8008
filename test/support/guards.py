"""A guard, what it is told and a joint that obeys it, without ROS."""

from types import SimpleNamespace

import numpy as np

from mbrl_ros.guard.guard import Guard
from mbrl_ros.guard.messages import GuardParameters, Mode, Time
from mbrl_ros.guard.settings import GuardSettings

PERIOD = 0.005
RATE = 20.0  # [1/s] c of safety/arrest.py
ANGLE = 0.4  # [rad] where the arm is


class Dimension:
    """std_msgs/MultiArrayDimension."""

    def __init__(self, label="", size=0, stride=0):
        self.label, self.size, self.stride = label, size, stride


def empty_message():
    """std_msgs/Float64MultiArray."""
    return SimpleNamespace(layout=SimpleNamespace(dim=[], data_offset=0), data=[])


def parameters(n=2, interface="effort", counter=1, **changes) -> GuardParameters:
    """Of a robot with n joints: inertia 0.1 kg m^2 each, acceleration limit 7.5 rad/s^2, velocity limit 3 rad/s."""
    one = np.ones(n)
    inertia = changes.pop("inertia", 0.1 * np.eye(n))
    if interface != "effort":
        inertia = np.zeros((0, 0))
    box = {"effort": 100.0, "velocity": 3.0, "position": 2.5}.get(interface, 1.0)
    values = {
        "source": "/mpc_node",
        "robot": "planar",
        "interface": interface,
        "anchor": "brake",
        "joints": tuple(f"joint{i + 1}" for i in range(n)),
        "counter": counter,
        "epoch": -1,
        "time": Time.WALL,
        "period": PERIOD,
        "state_timeout": 0.05,
        "carry_time": 1e6,
        "readers": 0,
        "lower": -box * one,
        "upper": box * one,
        "largest_step": box * one,
        "velocity": 3.0 * one,
        "acceleration": 7.5 * one,
        "position_lower": -2.5 * one,
        "position_upper": 2.5 * one,
        "mean": 0.0 * one,
        "inertia": inertia,
        "damping": RATE * inertia,
        "stiffness": RATE**2 / 3.0 * inertia,
        "integral": RATE**3 / 27.0 * inertia,
    }
    if interface != "effort":
        changes = {k: v for k, v in changes.items() if k not in ("damping", "stiffness", "integral")}
    return GuardParameters(**{**values, **changes})


def parameters_of(robot, safe, period: float) -> GuardParameters:
    """What the guard of `robot` is told where `safe` is its linear safe effort, for a `period` [s]."""
    return parameters(
        robot.n, "effort", joints=tuple(robot.joints), period=period, mean=safe.mean, lower=robot.command_lower,
        upper=robot.command_upper, inertia=safe.inertia, damping=safe.damping, stiffness=safe.stiffness,
        integral=safe.integral, velocity=robot.velocity_limit, acceleration=robot.acceleration_limit,
        largest_step=robot.command_upper - robot.command_lower,
    )  # fmt: skip


def joint_state(q, qd, stamp, names=None):
    """sensor_msgs/JointState."""
    q = np.atleast_1d(q)
    return SimpleNamespace(
        name=list(names or (f"joint{i + 1}" for i in range(q.size))),
        position=q.tolist(),
        velocity=[] if qd is None else np.atleast_1d(qd).tolist(),
        header=SimpleNamespace(stamp=SimpleNamespace(sec=int(stamp), nanosec=round(1e9 * (stamp % 1.0)))),
    )


class Side:
    """mpc_node's side of a guard, on a clock of its own: `send` a command, let time pass with `wait`."""

    def __init__(self, told: GuardParameters, **settings):
        self.guard = Guard(GuardSettings(**settings), lambda message: message, epoch=100)
        self.told, self.now, self.k = told, 10.0, 0
        self.out: list[tuple[float, np.ndarray, bool]] = []  # (when, command, whether it is the guard's)
        self.knows = True  # whether the present epoch is acknowledged

    def beat(self, **changes):
        """Send the parameters."""
        from dataclasses import replace

        self.k += 1
        epoch = self.guard.epoch if self.knows else -1
        return self.guard.take_parameters(replace(self.told, counter=self.k, epoch=epoch, **changes), self.now)

    def send(self, u, label=None) -> bool:
        """Send a command and the heartbeat."""
        self.beat()
        u = np.atleast_1d(np.array(u, dtype=float))
        gone = self.guard.take_command(u.tolist(), label or f"{self.now:.6f}", self.now)
        if gone:
            self.out.append((self.now, u, False))
        return gone

    def state(self, q, qd):
        """A joint state comes."""
        self.guard.states.put(joint_state(q, qd, self.now), self.now)
        self.guard.pause.takes(self.now)

    def wait(self, until: float):
        """Let time pass until `until` [s], the guard acting whenever it is due."""
        while (due := max(self.guard.due(), self.now)) <= until + 1e-9:
            self.now = due + 1e-7
            u = self.guard.act(self.now)
            if u is not None:
                self.out.append((self.now, u, True))
            elif self.guard.due() <= self.now:
                break
        self.now = max(self.now, until)

    def commands(self, own: bool) -> np.ndarray:
        """The commands of the guard, or of mpc_node, that went out."""
        return np.array([u for _, u, safe in self.out if safe is own])

    def begin(self, u, count: int | None = None) -> None:
        """Good commands until the guard forwards them."""
        for _ in range(count or 100):
            if self.guard.mode is Mode.FORWARDING and count is None:
                return
            self.send(u)
            self.wait(self.now + PERIOD)


def forwarding(interface="velocity", n=2, **settings) -> Side:
    """A guard that forwards commands to an arm at rest."""
    side = Side(parameters(n, interface), **settings)
    side.state(np.full(n, ANGLE), np.zeros(n))
    side.begin(np.full(n, ANGLE if interface == "position" else 0.0))
    assert side.guard.mode is Mode.FORWARDING
    return side


def moving(interface: str, speed: float = 1.0) -> Side:
    """... at `speed` [rad/s]."""
    side, q = forwarding(interface), ANGLE
    for k in range(100):
        v = min(speed, 7.5 * PERIOD * (k + 1))
        q += v * PERIOD
        side.state(np.full(2, q), np.full(2, v))
        side.send({"effort": np.full(2, 2.0), "velocity": np.full(2, v), "position": np.full(2, q)}[interface])
        side.wait(side.now + PERIOD)
    return side
