"""What is wrong with a robot's joint states and commands, in words, and what to do about it."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..config.configuration import Configuration
from ..messages.input_gate import CLOCKS_AGREE, JUMP
from ..robots import Robot
from .checkup import FEWEST, Checkup, Samples, interface_of, pace

JITTERY = 0.2  # of a period: the controller takes states for one period apart within this
GAP = 1.5  # periods
FULL_TURNS = 4.0 * np.pi  # [rad] an angle beyond is more likely in degrees


class Level(enum.Enum):
    """How bad: an error keeps the controller from working, a warning from working well."""

    FINE = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """`advice`: what to do; empty where nothing needs doing."""

    level: Level
    what: str
    advice: str = ""


def findings(checkup: Checkup, configuration: Configuration, robot: Robot | None = None) -> list[Finding]:
    """Everything worth a line. Without a robot its limits and joints are not checked."""
    if not checkup.stamps:
        return [
            Finding(
                Level.ERROR,
                "no joint state has come",
                "start the robot's driver or its joint_state_broadcaster, or name the topic",
            )
        ]
    samples = checkup.samples()
    return [
        *_joints(checkup, robot),
        *_rate(checkup, configuration),
        *_stamps(checkup, configuration),
        *_values(checkup, samples),
        *_units(samples, robot),
        *_commands(checkup, samples, configuration),
    ]


def _joints(c: Checkup, robot: Robot | None) -> Iterator[Finding]:
    if len({frozenset(layout) for layout in c.layouts}) > 1:
        yield Finding(
            Level.WARNING,
            f"joint states hold {len(c.layouts)} different sets or orders of joints: "
            f"{_listed([list(layout) for layout in c.layouts])}",
            "several publishers share the topic; give the "
            "controller the topic that holds all its joints in one message",
        )
    elif len(c.layouts) > 1:
        yield Finding(
            Level.FINE, f"the order of the joints changes ({len(c.layouts)} orders); joints are taken by name"
        )
    if any(len(set(layout)) != len(layout) for layout in c.layouts):
        yield Finding(
            Level.ERROR, "a joint is named twice in one message", "repair the publisher: which value holds is unknown"
        )
    if robot is None:
        yield Finding(Level.FINE, f"{len(c.joints)} joints: {', '.join(c.joints)}")
        return
    missing = [joint for joint in robot.joints if joint not in c.joints]
    if missing:
        yield Finding(
            Level.ERROR,
            f"joints {missing} of the robot are not in the joint states, which hold {list(c.joints)}",
            "set robot.joints to the names the driver uses, or remap the topic",
        )
    elif list(robot.joints) != [joint for joint in c.joints if joint in robot.joints]:
        yield Finding(
            Level.FINE,
            f"joint states come in another order ({', '.join(c.joints)}) than commands go out "
            f"({', '.join(robot.joints)}); they are matched by name",
        )
    else:
        yield Finding(Level.FINE, f"all {robot.n} joints are there")


def _rate(c: Checkup, configuration: Configuration) -> Iterator[Finding]:
    period, control = c.period(), configuration.control
    if len(c.stamps) < FEWEST or not period:
        yield Finding(
            Level.ERROR,
            f"only {len(c.stamps)} joint states: nothing can be said of their rate",
            "record or wait longer",
        )
        return
    rate, wanted = 1.0 / period, 1.0 / control.rate
    step = np.diff(np.array(c.stamps))
    jitter = float(np.percentile(np.abs(step - period), 99)) / period
    if rate < 0.95 * control.rate:
        yield Finding(
            Level.ERROR,
            f"joint states come at {rate:.4g} Hz, less than control.rate ({control.rate:g} Hz)",
            f"set control.rate: {rate:.4g}, or raise the publisher's rate",
        )
    else:
        yield Finding(Level.FINE, f"joint states at {rate:.4g} Hz, control at {control.rate:g} Hz")
    limit = JITTERY * max(wanted, period)
    late = float((np.abs(step - period) > limit).mean())
    if late > 0.01:
        yield Finding(
            Level.WARNING,
            f"{100 * late:.1f} % of the states are more than {1e3 * limit:.2g} ms off their period "
            f"(99 % within {100 * jitter:.0f} % of it): nothing is learned from those ticks",
            "stamp the states where they are measured, or give the driver real-time priority",
        )
    gaps = step[(step > GAP * period) & (step < 1e6)]
    if gaps.size:
        longest = float(gaps.max())
        yield Finding(
            Level.WARNING if longest < control.state_timeout else Level.ERROR,
            f"{gaps.size} gaps of more than {GAP:g} periods, the longest {1e3 * longest:.1f} ms"
            + (
                f", beyond control.state_timeout ({1e3 * control.state_timeout:g} ms): the safe command would go out"
                if longest >= control.state_timeout
                else ""
            ),
            "find what blocks the driver or the network",
        )


def _stamps(c: Checkup, configuration: Configuration) -> Iterator[Finding]:
    stamps, arrivals = np.array(c.stamps), np.array(c.arrivals)
    if not stamps.any():
        yield Finding(
            Level.ERROR,
            "header.stamp is empty throughout: every state would be refused",
            "make the publisher set header.stamp to the time of measurement",
        )
        return
    step = np.diff(stamps)
    same, back = int((step == 0.0).sum()), int((step < 0.0).sum())
    if same:
        yield Finding(
            Level.WARNING, f"{same} stamps come twice: those states are refused", "find the second publisher or sender"
        )
    if back:
        yield Finding(
            Level.WARNING if back < 0.01 * len(step) else Level.ERROR,
            f"{back} stamps step backward by up to {-float(step.min()):.3g} s",
            "two publishers with different clocks, or a clock that is being set",
        )
    jumps = int((np.abs(step - np.diff(arrivals)) > JUMP).sum())
    if jumps:
        yield Finding(
            Level.WARNING,
            f"the stamps' clock jumps {jumps} times",
            "discipline the clock (chrony, PTP) before control starts",
        )
    spans = [np.ptp(np.percentile(times, (1, 99))) for times in (arrivals, stamps)]
    stretch = float(spans[0] / spans[1]) if min(spans) > 0.0 else 1.0
    if jumps + back == 0 and not 0.98 < stretch < 1.02:
        yield Finding(Level.FINE, f"the stamps run {1.0 / stretch:.3g} times as fast as our clock: simulated time")
        return
    offset = arrivals - stamps
    middle, spread = float(np.median(offset)), float(np.percentile(offset, 99) - np.percentile(offset, 1))
    if abs(middle) > CLOCKS_AGREE:
        yield Finding(
            Level.FINE,
            f"the robot has its own clock ({middle:+.4g} s from ours); ages are taken against its fastest message",
        )
    elif middle < -1e-3:
        yield Finding(
            Level.WARNING,
            f"states are stamped {-1e3 * middle:.3g} ms in the future",
            "synchronise the clocks, or set control.stamp_clock: own",
        )
    elif middle > configuration.control.state_timeout:
        yield Finding(
            Level.ERROR,
            f"states are {1e3 * middle:.3g} ms old when they arrive, more than control.state_timeout",
            "synchronise the clocks, or set control.stamp_clock: own if they cannot be",
        )
    else:
        yield Finding(Level.FINE, f"states arrive {1e3 * max(middle, 0.0):.2g} ms after their stamp (median)")
    timeout = configuration.control.state_timeout
    if spread > timeout:
        yield Finding(
            Level.WARNING,
            f"the time from stamp to arrival varies by {1e3 * spread:.3g} ms, more than "
            f"control.state_timeout ({1e3 * timeout:g} ms)",
            "find what delays messages; recorded over a network, this may be the recorder",
        )


def _values(c: Checkup, samples: Samples) -> Iterator[Finding]:
    advice = {
        "no velocities": "control.missing_velocity: estimate differentiates the positions; better, let the driver publish them",
        "no usable velocities": "joint_state_broadcaster sends NaN for an interface the hardware lacks; positions are "
        "differentiated then (control.missing_velocity)",
        "a position is not finite": "repair the driver: such states are refused",
        "a velocity is not finite": "repair the driver: such states are refused",
        "positions are not one per joint": "repair the publisher: such states are refused",
    }
    for what, count in c.trouble.items():
        level = Level.WARNING if "velocities" in what or count < 0.01 * len(c.stamps) else Level.ERROR
        yield Finding(level, f"{what} in {count} of {len(c.stamps)} joint states", advice[what])
    if (
        samples.has("qd")
        and not np.nanmax(np.abs(samples.qd), initial=0.0)
        and np.nanmax(np.ptp(samples.q, axis=0), initial=0.0) > 0.01
    ):
        yield Finding(
            Level.ERROR,
            "velocities are zero although the joints move",
            "publish measured velocities, or none at all: then they are estimated",
        )
    if not samples.has("effort"):
        yield Finding(
            Level.FINE, "no efforts; they are only needed to learn from a robot that another controller moves"
        )


def _units(samples: Samples, robot: Robot | None) -> Iterator[Finding]:
    if not len(samples.q) or not samples.has("q"):
        return
    ratio = pace(samples)
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
        yield Finding(Level.FINE, f"positions and velocities agree (ratio {ratio:.3f})")
    largest = float(np.nanmax(np.abs(samples.q)))
    if largest > FULL_TURNS:
        yield Finding(
            Level.WARNING, f"a position reaches {largest:.4g}: degrees?", "JointState is in rad and m (REP 103)"
        )
    if robot is not None and set(robot.joints) <= set(samples.joints):
        yield from _limits(samples, robot)


def _limits(samples: Samples, robot: Robot) -> Iterator[Finding]:
    for name, low, high in zip(robot.joints, robot.position_lower, robot.position_upper):
        q = samples.q[:, samples.joints.index(name)]
        outside = np.nanmax(np.maximum(low - q, q - high), initial=0.0)
        if outside > 0.0:
            yield Finding(
                Level.WARNING,
                f"{name} goes {outside:.3g} beyond its limit less robot.position_margin ([{low:.3g}, {high:.3g}])",
                "check the URDF's limits and the joint's zero",
            )


def _commands(c: Checkup, samples: Samples, configuration: Configuration) -> Iterator[Finding]:
    if not c.command_arrivals:
        yield Finding(Level.FINE, "no commands are there to look at")
        return
    n = len(c.joints)
    arrivals = np.array(c.command_arrivals)
    if c.command_sizes.most_common(1)[0][0] != n:
        yield Finding(
            Level.WARNING,
            f"commands hold {c.command_sizes.most_common(1)[0][0]} values, joint states {n} joints",
            "commands follow the controller's parameter 'joints'; robot.joints must list the same, in that order",
        )
    elif len(c.command_sizes) > 1:
        yield Finding(
            Level.WARNING, f"commands change their size: {dict(c.command_sizes)}", "two controllers share the topic"
        )
    if c.absurd_commands:
        yield Finding(
            Level.ERROR,
            f"{c.absurd_commands} commands are not finite or absurdly large",
            "repair the controller that sends them",
        )
    if len(arrivals) > FEWEST:
        yield Finding(
            Level.FINE,
            f"commands at {1.0 / max(float(np.median(np.diff(arrivals))), 1e-9):.4g} Hz, seemingly "
            f"{interface_of(samples, *c.commands())}s",
        )
    estimate, configured = c.delay(samples), configuration.control.delay
    if estimate is None:
        yield Finding(Level.FINE, "the delay from commands to motion cannot be told: too little motion")
        return
    if not estimate.usable:
        yield Finding(
            Level.FINE,
            f"commands act perhaps {estimate.ticks:.2f} +- {estimate.std:.2f} states after the one they "
            f"answer; they explain only {100 * estimate.explained:.0f} % of the accelerations, too little to be sure",
        )
        return
    period = c.period()
    text = (
        f"commands act {estimate.ticks:.2f} +- {estimate.std:.2f} states after the one they answer "
        f"({1e3 * estimate.ticks * period:.1f} ms)"
    )
    ticks = estimate.ticks * period * configuration.control.rate
    if abs(ticks - configured) > 0.5:
        yield Finding(
            Level.WARNING, f"{text}, but control.delay is {configured:g} ticks", f"set control.delay: {ticks:.2f}"
        )
    else:
        yield Finding(Level.FINE, text)


def _listed(items: list) -> str:
    return ", ".join(map(str, items[:3])) + (" ..." if len(items) > 3 else "")


def text(found: list[Finding]) -> str:
    """One line per finding, the worst first, each with what to do."""
    order = [Level.ERROR, Level.WARNING, Level.FINE]
    lines = []
    for finding in sorted(found, key=lambda f: order.index(f.level)):
        lines.append(f"{finding.level.value:>8}  {finding.what}")
        if finding.advice:
            lines.append(f"{'':>8}  -> {finding.advice}")
    errors, warnings = (sum(f.level is level for f in found) for level in (Level.ERROR, Level.WARNING))
    return "\n".join([*lines, f"{errors} errors, {warnings} warnings"])
