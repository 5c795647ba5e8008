"""What is wrong with the rate and the stamps of joint states."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..config.configuration import Configuration
from ..messages.input_gate import CLOCK_JUMP, CLOCKS_AGREE
from ..types import Array
from .checkup import FEWEST_STATES, Checkup
from .finding import Finding, Level, error, ok, warning

JITTERY = 0.2  # of a period: the controller takes states for one period apart within this
GAP_PERIODS = 1.5  # periods


def rate(checkup: Checkup, configuration: Configuration) -> Iterator[Finding]:
    """Compare the rate of the states with control.rate, and look for jitter and gaps."""
    period, control = checkup.period(), configuration.control
    if len(checkup.stamps) < FEWEST_STATES or not period:
        yield error(
            f"only {len(checkup.stamps)} joint states: nothing can be said of their rate", "record or wait longer"
        )
        return
    found, wanted = 1.0 / period, 1.0 / control.rate
    step = np.diff(np.array(checkup.stamps))
    jitter = float(np.percentile(np.abs(step - period), 99)) / period
    if found < 0.95 * control.rate:
        yield error(
            f"joint states come at {found:.4g} Hz, less than control.rate ({control.rate:g} Hz)",
            f"set control.rate: {found:.4g}, or raise the publisher's rate",
        )
    else:
        yield ok(f"joint states at {found:.4g} Hz, control at {control.rate:g} Hz")
    limit = JITTERY * max(wanted, period)
    late = float((np.abs(step - period) > limit).mean())
    if late > 0.01:
        yield warning(
            f"{100 * late:.1f} % of the states are more than {1e3 * limit:.2g} ms off their period "
            f"(99 % within {100 * jitter:.0f} % of it): nothing is learned from those ticks",
            "stamp the states where they are measured, or give the driver real-time priority",
        )
    gaps = step[(step > GAP_PERIODS * period) & (step < 1e6)]
    if gaps.size:
        yield _gaps(gaps, control.state_timeout)


def _gaps(gaps: Array, timeout: float) -> Finding:
    longest = float(gaps.max())
    what = f"{gaps.size} gaps of more than {GAP_PERIODS:g} periods, the longest {1e3 * longest:.1f} ms"
    if longest >= timeout:
        what += f", beyond control.state_timeout ({1e3 * timeout:g} ms): the safe command would go out"
    return Finding(
        Level.WARNING if longest < timeout else Level.ERROR, what, "find what blocks the driver or the network"
    )


def stamps(checkup: Checkup, configuration: Configuration) -> Iterator[Finding]:
    """Look at the order of the stamps and compare their clock with ours."""
    stamps, arrivals = np.array(checkup.stamps), np.array(checkup.arrivals)
    if not stamps.any():
        yield error(
            "header.stamp is empty throughout: every state would be refused",
            "make the publisher set header.stamp to the time of measurement",
        )
        return
    step = np.diff(stamps)
    same, back = int((step == 0.0).sum()), int((step < 0.0).sum())
    if same:
        yield warning(f"{same} stamps come twice: those states are refused", "find the second publisher or sender")
    if back:
        yield Finding(
            Level.WARNING if back < 0.01 * len(step) else Level.ERROR,
            f"{back} stamps step backward by up to {-float(step.min()):.3g} s",
            "two publishers with different clocks, or a clock that is being set",
        )
    jumps = int((np.abs(step - np.diff(arrivals)) > CLOCK_JUMP).sum())
    if jumps:
        yield warning(
            f"the stamps' clock jumps {jumps} times", "discipline the clock (chrony, PTP) before control starts"
        )
    spans = [np.ptp(np.percentile(times, (1, 99))) for times in (arrivals, stamps)]
    stretch = float(spans[0] / spans[1]) if min(spans) > 0.0 else 1.0
    if jumps + back == 0 and not 0.98 < stretch < 1.02:
        yield ok(f"the stamps run {1.0 / stretch:.3g} times as fast as our clock: simulated time")
    else:
        yield from _offset(arrivals - stamps, configuration.control.state_timeout)


def _offset(offset: Array, timeout: float) -> Iterator[Finding]:
    """Judge the times (T,) [s] from stamp to arrival."""
    middle, spread = float(np.median(offset)), float(np.percentile(offset, 99) - np.percentile(offset, 1))
    if abs(middle) > CLOCKS_AGREE:
        yield ok(f"the robot has its own clock ({middle:+.4g} s from ours); ages are taken against its fastest message")
    elif middle < -1e-3:
        yield warning(
            f"states are stamped {-1e3 * middle:.3g} ms in the future",
            "synchronise the clocks, or set control.stamp_clock: own",
        )
    elif middle > timeout:
        yield error(
            f"states are {1e3 * middle:.3g} ms old when they arrive, more than control.state_timeout",
            "synchronise the clocks, or set control.stamp_clock: own if they cannot be",
        )
    else:
        yield ok(f"states arrive {1e3 * max(middle, 0.0):.2g} ms after their stamp (median)")
    if spread > timeout:
        yield warning(
            f"the time from stamp to arrival varies by {1e3 * spread:.3g} ms, more than "
            f"control.state_timeout ({1e3 * timeout:g} ms)",
            "find what delays messages; recorded over a network, this may be the recorder",
        )
