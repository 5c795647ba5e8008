"""What is wrong with a robot's joint states and commands, in words, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..config.configuration import Configuration
from ..robots import Robot
from . import timing_findings
from .checkup import FEWEST_STATES, Checkup, Samples, interface_of, pace_of
from .finding import Finding, Level, error, ok, warning

FULL_TURNS = 4.0 * np.pi  # [rad] an angle beyond is more likely in degrees
ADVICE = {
    "no velocities": (
        "control.missing_velocity: estimate differentiates the positions; better, let the driver publish them"
    ),
    "no usable velocities": "joint_state_broadcaster sends NaN for an interface the hardware lacks; positions are "
    "differentiated then (control.missing_velocity)",
    "a position is not finite": "repair the driver: such states are refused",
    "a velocity is not finite": "repair the driver: such states are refused",
    "positions are not one per joint": "repair the publisher: such states are refused",
}


def findings(checkup: Checkup, configuration: Configuration, robot: Robot | None = None) -> list[Finding]:
    """Return everything worth a line. Without a robot its limits and joints are not checked."""
    if not checkup.stamps:
        return [
            error(
                "no joint state has come",
                "start the robot's driver or its joint_state_broadcaster, or name the topic",
            )
        ]
    samples = checkup.samples()
    return [
        *_joints(checkup, robot),
        *timing_findings.rate(checkup, configuration),
        *timing_findings.stamps(checkup, configuration),
        *_values(checkup, samples),
        *_units(samples, robot),
        *_commands(checkup, samples),
        *_delay(checkup, samples, configuration),
    ]


def _joints(checkup: Checkup, robot: Robot | None) -> Iterator[Finding]:
    layouts = checkup.layouts
    if checkup.partial is not None and checkup.partial.parts:
        yield ok(f"the joints come in several messages ({checkup.partial.parts}); they are put together")
    if checkup.partial is not None and checkup.partial.foreign:
        yield ok(f"{checkup.partial.foreign} messages hold none of the robot's joints; they are left out")
    if len({frozenset(layout) for layout in layouts}) > 1:
        yield warning(
            f"joint states hold {len(layouts)} different sets or orders of joints: "
            f"{_listed([list(layout) for layout in layouts])}",
            "several publishers share the topic; give the "
            "controller the topic that holds all its joints in one message",
        )
    elif len(layouts) > 1:
        yield ok(f"the order of the joints changes ({len(layouts)} orders); joints are taken by name")
    if any(len(set(layout)) != len(layout) for layout in layouts):
        yield error("a joint is named twice in one message", "repair the publisher: which value holds is unknown")
    if robot is None:
        yield ok(f"{len(checkup.joints)} joints: {', '.join(checkup.joints)}")
        return
    missing = [joint for joint in robot.joints if joint not in checkup.joints]
    if missing:
        yield error(
            f"joints {missing} of the robot are not in the joint states, which hold {list(checkup.joints)}",
            "set robot.joints to the names the driver uses, or remap the topic",
        )
    elif list(robot.joints) != [joint for joint in checkup.joints if joint in robot.joints]:
        yield ok(
            f"joint states come in another order ({', '.join(checkup.joints)}) than commands go out "
            f"({', '.join(robot.joints)}); they are matched by name"
        )
    else:
        yield ok(f"all {robot.n} joints are there")


def _values(checkup: Checkup, samples: Samples) -> Iterator[Finding]:
    for what, count in checkup.problems.items():
        level = Level.WARNING if "velocities" in what or count < 0.01 * len(checkup.stamps) else Level.ERROR
        yield Finding(level, f"{what} in {count} of {len(checkup.stamps)} joint states", ADVICE[what])
    if (
        samples.has("qd")
        and not np.nanmax(np.abs(samples.qd), initial=0.0)
        and np.nanmax(np.ptp(samples.q, axis=0), initial=0.0) > 0.01
    ):
        yield error(
            "velocities are zero although the joints move",
            "publish measured velocities, or none at all: then they are estimated",
        )
    if not samples.has("effort"):
        yield ok("no efforts; they are only needed to learn from a robot that another controller moves")


def _units(samples: Samples, robot: Robot | None) -> Iterator[Finding]:
    if not len(samples.q) or not samples.has("q"):
        return
    ratio = pace_of(samples)
    if ratio is not None and not 0.9 < ratio < 1.1:
        degrees = 180.0 / np.pi
        why = (
            "positions seem to be in degrees, velocities in rad/s"
            if 0.8 < ratio / degrees < 1.25
            else "velocities seem to be in degrees/s, positions in rad"
            if 0.8 < ratio * degrees < 1.25
            else "the clock or the units are off"
        )
        yield Finding(
            Level.ERROR if not 0.5 < ratio < 2.0 else Level.WARNING,
            f"positions move {ratio:.3g} times as far as velocities and stamps say: {why}",
            "JointState is in rad, rad/s and m, m/s (REP 103)",
        )
    elif ratio is not None:
        yield ok(f"positions and velocities agree (ratio {ratio:.3f})")
    largest = float(np.nanmax(np.abs(samples.q)))
    if largest > FULL_TURNS:
        yield warning(f"a position reaches {largest:.4g}: degrees?", "JointState is in rad and m (REP 103)")
    if robot is not None and set(robot.joints) <= set(samples.joints):
        yield from _limits(samples, robot)


def _limits(samples: Samples, robot: Robot) -> Iterator[Finding]:
    for name, low, high in zip(robot.joints, robot.position_lower, robot.position_upper, strict=True):
        q = samples.q[:, samples.joints.index(name)]
        outside = np.nanmax(np.maximum(low - q, q - high), initial=0.0)
        if outside > 0.0:
            yield warning(
                f"{name} goes {outside:.3g} beyond its limit less robot.position_margin ([{low:.3g}, {high:.3g}])",
                "check the URDF's limits and the joint's zero",
            )


def _commands(checkup: Checkup, samples: Samples) -> Iterator[Finding]:
    if not checkup.command_arrivals:
        yield ok("there are no commands to look at")
        return
    arrivals, size = np.array(checkup.command_arrivals), checkup.command_sizes.most_common(1)[0][0]
    if size != len(checkup.joints):
        yield warning(
            f"commands hold {size} values, joint states {len(checkup.joints)} joints",
            "commands follow the controller's parameter 'joints'; robot.joints must list the same, in that order",
        )
    elif len(checkup.command_sizes) > 1:
        yield warning(f"commands change their size: {dict(checkup.command_sizes)}", "two controllers share the topic")
    if checkup.implausible_commands:
        yield error(
            f"{checkup.implausible_commands} commands are not finite or implausibly large",
            "repair the controller that sends them",
        )
    if len(arrivals) > FEWEST_STATES:
        yield ok(
            f"commands at {1.0 / max(float(np.median(np.diff(arrivals))), 1e-9):.4g} Hz, seemingly of the interface "
            f"{interface_of(samples, *checkup.commands())}"
        )


def _delay(checkup: Checkup, samples: Samples, configuration: Configuration) -> Iterator[Finding]:
    """Compare the delay from commands to motion with control.delay."""
    if not checkup.command_arrivals:
        return
    estimate, configured = checkup.delay(samples), configuration.control.delay
    if estimate is None:
        yield ok("the delay from commands to motion cannot be told: too little motion")
        return
    if not estimate.usable:
        yield ok(
            f"commands act perhaps {estimate.ticks:.2f} +- {estimate.std:.2f} states after the one they "
            f"answer; they explain only {100 * estimate.explained:.0f} % of the accelerations, too little to be sure"
        )
        return
    period = checkup.period()
    what = (
        f"commands act {estimate.ticks:.2f} +- {estimate.std:.2f} states after the one they answer "
        f"({1e3 * estimate.ticks * period:.1f} ms)"
    )
    ticks = estimate.ticks * period * configuration.control.rate
    if abs(ticks - configured) > 0.5:
        yield warning(f"{what}, but control.delay is {configured:g} ticks", f"set control.delay: {ticks:.2f}")
    else:
        yield ok(what)


def _listed(items: Sequence[object]) -> str:
    return ", ".join(map(str, items[:3])) + (" ..." if len(items) > 3 else "")
