"""A first configuration for a robot as commented YAML, from what a bag or a URDF says of it.

Measured where there is a bag: joints in the order of the commands, rate, interface, delay, gaps. Limits are the URDF's;
without one, what the bag shows stands in comments, since a limit that was never reached is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..config.scalars import quoted
from ..config.sections.robot import RobotSettings
from ..config.sections.simulation import USUAL_TIMESTEP, fitting_timestep
from ..config.settings_file import load_configuration
from ..exceptions import ConfigurationError, DataError, MbrlError
from ..references.workspace import starting_posture
from ..robots import Robot, load_robot
from ..robots.arm import arm_of
from ..robots.inertia import has_inertials
from ..robots.sources import read
from ..robots.urdf import parse
from ..types import Array
from .checkup import FEWEST_STATES, Checkup, Samples, interface_of
from .initial_collision import collision_lines

USUAL_RATE = 200.0  # [Hz] without a bag
HORIZON = 0.15  # [s] of a plan
STATE_TIMEOUT = 3.0  # the safe command goes out after this many of the longest gaps met ...
SHORTEST_TIMEOUT = 0.05  # [s] ... but not before
FASTEST_PLAYER = 500.0  # [Hz] more is given to the feedback player
ACCELERATION = RobotSettings().acceleration_limit[0]  # [rad/s^2 or m/s^2]


@dataclass(frozen=True)
class Initial:
    """`yaml`: the text of the file; `notes`: what to look at before using it."""

    yaml: str
    notes: list[str]


class _Interface(NamedTuple):
    """What a command is, empty where that is left open, and how it was found."""

    name: str
    source: str


class _Bag(NamedTuple):
    """What a bag says."""

    checkup: Checkup
    samples: Samples


def initial(
    checkup: Checkup | None, description: str = "", urdf: str | None = None, interface: str = "", tip: str = ""
) -> Initial:
    """Make a configuration from a checkup, a robot description, or both.

    Parameters
    ----------
    checkup
        of a bag.
    description
        as robot.description takes it.
    urdf
        the text, if it is no file.
    interface
        effort, velocity or position; empty: as the commands of the bag show, else left open.
    tip
        the link at which the arm ends; empty: it is guessed.
    """
    notes: list[str] = []
    bag = _Bag(checkup, checkup.samples()) if checkup is not None and checkup.stamps else None
    if checkup is not None and bag is None:
        raise DataError("the bag holds no joint state that can be read: there is nothing to start from")
    found = _Interface(interface, "as given") if interface else _interface(bag, notes)
    settings = RobotSettings(description=description, tip=tip)
    settings = settings.replace(interface=found.name) if found.name else settings
    robot = _robot(bag, settings, urdf, notes) if description or urdf else None
    joints = robot.joints if robot is not None else bag.checkup.joints if bag is not None else ()
    samples = bag.samples if bag is not None else None
    lines = [*_head(description, robot, joints, found, samples), *_control(bag, notes)]
    if robot is not None:
        lines += collision_lines(robot, description, notes)
        lines += _simulation(robot, _rate(bag), notes)
    return Initial("\n".join(lines) + "\n", notes)


def _interface(bag: _Bag | None, notes: list[str]) -> _Interface:
    """Return what the commands of a bag resemble; without enough of them the interface is left open."""
    if bag is not None:
        commands = bag.checkup.commands()
        if len(commands[0]) >= FEWEST_STATES:
            return _Interface(interface_of(bag.samples, *commands), "as the commands in the bag: CHECK")
    notes.append(
        f"robot.interface is left open: what a command is cannot be told from {'this bag' if bag else 'a URDF'}; "
        "write it into the file, or use --interface effort|velocity|position"
    )
    return _Interface("", "")


def _robot(bag: _Bag | None, settings: RobotSettings, urdf: str | None, notes: list[str]) -> Robot:
    """Load the robot with the joints of one arm, and those that the bag has; notes say what was left out.

    Raises
    ------
    RobotDescriptionError
        A limit is missing; the message says which.
    """
    arm = arm_of(parse(read(settings.description if urdf is None else urdf)), settings.tip)
    if arm.others and not settings.tip:
        notes.append(f"this arm ends at '{arm.flange}', others at {list(arm.others)}: --tip LINK chooses one")
    settings = settings.replace(joints=arm.joints, tip=arm.flange)
    left_out = arm.left_out
    if bag is not None:
        there = bag.checkup.joints
        seen = tuple(joint for joint in arm.joints if joint in there)
        if not seen:
            return load_robot(settings.replace(joints=there, tip=""), urdf)  # raises, and names the nearest joints
        left_out = tuple(joint for joint in there if joint not in seen)
        settings = settings if seen == arm.joints else settings.replace(joints=seen, tip="")
    if left_out:
        notes.append(f"joints {list(left_out)} are not part of the arm and were left out: CHECK robot.joints")
    robot = load_robot(settings, urdf)
    notes.append(f"the order of robot.joints is that of the URDF, the tip is '{robot.tip}': CHECK both")
    if robot.uncontrolled:
        notes.append(f"joints {list(robot.uncontrolled)} move the tip and are not controlled: read where measured")
    notes.append(
        f"robot.acceleration_limit: {ACCELERATION:g} is a guess, and so is the rotors' inertia of the simulated arm: a "
        "URDF holds neither"
    )
    if not has_inertials(robot):
        notes.append(
            "the URDF has no <inertial> of every moving link: it is simulated with guessed masses, and efforts need "
            "robot.guess_inertials, or prior.integrator.strength and another supervisor.safe_effort than arrest"
        )
    return robot


def _head(
    description: str, robot: Robot | None, joints: tuple[str, ...], interface: _Interface, samples: Samples | None
) -> list[str]:
    order = "as in the URDF: CHECK" if robot is not None else "as in the bag: CHECK"
    unit = {"effort": "torques or forces", "velocity": "joint speeds", "position": "joint positions"}
    lines = [
        "# A starting point made by mbrl init: read every line before the robot moves.",
        "/**:",
        "  ros__parameters:",
        "    robot:",
    ]
    if description:
        lines.append(f"      description: {quoted(description)}")
    else:
        lines.append("      # no description here: the node waits for the topic robot_description")
    lines += [
        f"      joints: [{', '.join(map(quoted, joints))}]  # order {order}",
        _line("interface", interface.name, f"commands are {unit[interface.name]}, {interface.source}")
        if interface.name
        else "      # interface: effort, velocity or position: WRITE what a command is",
    ]
    if robot is not None:
        lines += [
            _line("tip", quoted(robot.tip), "CHECK: the flange, or a link behind it"),
            _line("velocity_scale", 0.5, "begin with half of the URDF's limits"),
            f"      effort_scale: {1.0 if interface.name == 'effort' else 0.5}",
            _line("acceleration_limit", ACCELERATION, "a guess: a URDF holds none: CHECK [rad/s^2 or m/s^2]"),
            "      # limits in use, per joint:",
        ]
        lines += [
            f"      #   {quoted(name)}: {_span(low, high)} rad or m, {0.5 * v:.3g} per s (half of {v:.3g}), "
            f"effort {e:.3g}"
            for name, low, high, v, e in zip(
                robot.joints,
                robot.position_lower,
                robot.position_upper,
                robot.velocity_limit,
                robot.effort_limit,
                strict=True,
            )
        ]
    if samples is not None and len(samples.q):
        lines.append("      # met in the bag, per joint: positions, fastest, largest effort:")
        for i, name in enumerate(samples.joints):
            if name in joints:
                q, qd, effort = (
                    part[:, i][np.isfinite(part[:, i])] for part in (samples.q, samples.qd, samples.effort)
                )
                lines.append(f"      #   {quoted(name)}: {_span(*_ends(q))}, {_largest(qd)}, {_largest(effort)}")
    return lines


def _control(bag: _Bag | None, notes: list[str]) -> list[str]:
    """Return the lines of mpc_node: rate, delay and time-out as measured, or usual ones."""
    rate, delay, timeout, delay_note = _rate(bag), 1.0, SHORTEST_TIMEOUT, "not measured"
    period = bag.checkup.period() if bag is not None else 0.0
    if bag is not None and period and len(bag.checkup.stamps) >= FEWEST_STATES:
        timeout = _timeout(bag.checkup, period)
        if 1.0 / period > 1.05 * FASTEST_PLAYER:
            notes.append(
                f"joint states come at {1.0 / period:.4g} Hz; control runs at {FASTEST_PLAYER:g} Hz, "
                "player_rate can use the rest"
            )
        estimate = bag.checkup.delay(bag.samples)
        if estimate is not None and estimate.usable:
            delay = round(estimate.ticks * period * rate, 2)
            delay_note = f"measured: {estimate.ticks * period * 1e3:.1f} +- {estimate.std * period * 1e3:.1f} ms"
        else:
            notes.append("the delay from commands to motion could not be measured: control.delay: 1.0 is a guess")
    else:
        notes.append("rate and delay are guesses: give a bag with --bag to measure them")
    lines = [
        "",
        "/**/mpc_node:",
        "  ros__parameters:",
        "    control:",
        _line("rate", float(rate), f"{'of the joint states in the bag' if period else 'a usual one'} [Hz]"),
        _line("delay", delay, f"{delay_note} [ticks]"),
        _line("state_timeout", timeout, "the safe command goes out after this long without states [s]"),
    ]
    if bag is not None and not bag.samples.has("qd"):
        lines.append(_line("missing_velocity", "estimate", "the joint states hold no velocities"))
    return [
        *lines,
        "    planner:",
        _line("horizon", max(5, round(HORIZON * rate)), f"{HORIZON} s [ticks]"),
        "      iterations: 2",
    ]


def _rate(bag: _Bag | None) -> float:
    """Return the control rate [Hz]: that of the joint states in the bag, if it has enough, else a usual one."""
    period = bag.checkup.period() if bag is not None and len(bag.checkup.stamps) >= FEWEST_STATES else 0.0
    return min(round(1.0 / period, 1), FASTEST_PLAYER) if period else USUAL_RATE


def _simulation(robot: Robot, rate: float, notes: list[str]) -> list[str]:
    """Return the lines of sim_node: its rate, and where the arm starts in mbrl demo and sim.launch.py."""
    lines = ["", "/**/sim_node:", "  ros__parameters:", "    plant:", _line("rate", rate, "as control.rate [Hz]")]
    if abs((step := fitting_timestep(rate)) - USUAL_TIMESTEP) > 1e-12:
        lines.append(_line("timestep", repr(step), "of which the period is a multiple [s]"))
    try:
        start = starting_posture(robot)
    except ConfigurationError as error:
        notes.append(f"the simulated arm has no plant.initial_position: {error}")
        return lines
    values = ", ".join(f"{value:.2f}" for value in start)
    return [
        *lines,
        "      # where the simulated arm starts: drawn, away from its stops, easily held, its tip free to move:",
        f"      initial_position: [{values}]",
    ]


def _timeout(checkup: Checkup, period: float) -> float:
    """Return a time-out [s] that the usual gaps do not reach."""
    step = np.diff(np.array(checkup.stamps))
    usual = step[(step > 0.0) & (step < 20.0 * period)]
    if not usual.size:
        return SHORTEST_TIMEOUT
    return round(max(SHORTEST_TIMEOUT, STATE_TIMEOUT * float(np.percentile(usual, 99.9))), 3)


def check(text: str) -> None:
    """Raise DataError if the file would be refused."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "initial.yaml")
        file.write_text(text, encoding="utf-8")
        try:
            load_configuration(file)
        except MbrlError as error:
            raise DataError(f"no usable configuration follows from this: {error}") from None


def _line(key: str, value: object, comment: str) -> str:
    return f"{f'      {key}: {value}':<36}# {comment}"


def _ends(values: Array) -> tuple[float, float]:
    return (float(values.min()), float(values.max())) if values.size else (np.nan, np.nan)


def _span(low: float, high: float) -> str:
    return f"[{low:.3f}, {high:.3f}]"


def _largest(values: Array) -> str:
    return f"{float(np.abs(values).max()):.3g}" if values.size else "none"
