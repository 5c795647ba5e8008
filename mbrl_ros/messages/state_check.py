r"""Whether a joint state continues the ones before: positions that leap are refused, bad velocities are replaced.

For one joint, let (q_0, v_0) be the last accepted state, s_0 the slope of the positions before it, and (q, v) a new
state h later. The slope s = (q - q_0)/h is explained if it lies between the velocities that are known, up to a
tolerance e:

    min(v_0, s_0, v) - e <= s <= max(v_0, s_0, v) + e
    e = c v_max + a_max h + 4 rms(s_k - s_{k-1})

A state with a slope that is not explained is refused: its positions leapt. Where one joint's did, or one is missing
(NaN), its position is continued with its velocity instead, in at most REPLACED states in a row. Where only v explains
it, with d > c, both changed suddenly, by a blow or in one bad sample: position and velocity are continued, until the
next state tells which by continuing the sudden one or not. So is v if it changed by more than d v_max + a_max h. Where
states are missing in between, no position is continued. Otherwise v is held against the positions and replaced by the
estimate from them (robots/velocity_estimator.py) if

    |v - s| > e   and   |(v_0 + v)/2 - s| > e/2,

the second because a blow changes the velocity within one sample, and positions then follow the mean of both. Velocities
that are missing (NaN) are estimated too, joint by joint.

A driver that samples in even steps H, the mean of the last ones, may stamp its states late by more or less. Without a
second publisher s h / H may therefore be the slope, and v_0 H / h explains s as well (not s_0, which grew by as much).

A state that repeats the last one in every value while the robot moves is an old message with a new stamp. It is
accepted for LONGEST_GAP seconds, and the state after it may continue it or the last state that was not a repetition.

STRAY refused states in a row that continue each other and the state before the last accepted one show that this one was
wrong, and others that they lie on the robot's way at another time, where its clock was set by a little. Those that
continue each other for NEW_BEGINNING seconds, with no accepted state in between, are taken up as a new beginning: an
encoder was set anew. Refused states between accepted ones may come from a second publisher (alternation.py). A state
that repeats one of the last in every bit, but not the last one, is a copy that comes late: its positions leapt back.
While it is not known whose the states are (state_origin.py), none is accepted beside a second publisher.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..robots import Robot
from ..robots.velocity_estimator import VelocityEstimator
from ..types import Array
from .alternation import Alternation
from .input_gate import Rejection
from .slope_noise import SlopeNoise
from .state_history import Sample, StateHistory, continued, contradicted, following, frozen, shifted, unwrapped
from .state_origin import StateOrigin
from .step_history import StepHistory

SHARE, SUDDEN = 0.15, 0.25  # c, and d > c: of the velocity limit
EFFORT_ACCELERATION = 30.0  # [rad/s^2 or m/s^2] by an effort, whatever references ask for, is nothing sudden
LONGEST_GAP = 0.5  # [s]: after a longer time without a state anything may follow
NEW_BEGINNING, CONTINUING = 1.0, 5  # [s] and states after which refused states are a new beginning
STRAY = 3  # refused states in a row, each continuing the one before, that show that the accepted one was wrong
FORGOTTEN = 2.0  # [s] without a state of a second publisher after which it counts as gone
REPLACED = 3  # states in a row in which the position of one joint is replaced
PERSISTENT = 10  # velocities of a joint that were replaced in a row: they are no longer used


class StateCheck:
    """Judges the successive states of one robot: `examine` a state, then `accept` it.

    `second_publisher` tells whether states of two publishers alternate, `origin` whether it is known whose they are. Of
    the state accepted last, `corrected` (n,) tells which velocities and `replaced` (n,) which positions were replaced,
    `estimated` whether a velocity was estimated.
    """

    def __init__(self, robot: Robot, cutoff: float):
        """`cutoff` [Hz] of the low-pass of estimated velocities."""
        self._robot, self._continuous = robot, ~robot.bounded
        self._floor = SHARE * robot.velocity_limit
        self._sudden_change = (SUDDEN - SHARE) * robot.velocity_limit
        self._more = np.maximum(EFFORT_ACCELERATION * (robot.interface == "effort") - robot.acceleration_limit, 0.0)
        self._estimator = VelocityEstimator(cutoff, longest_gap=LONGEST_GAP)
        self._history, self.origin = StateHistory(), StateOrigin()
        self.forget()

    def forget(self) -> None:
        """Judge the next state like the first one."""
        n = self._robot.n
        self._last: Sample | None = None
        self._previous: Sample | None = None  # accepted before the last one
        self._sure: Sample | None = None  # the last one of which nothing was replaced
        self._strayed = False  # whether the new state continues that one, and the last one did not
        self._new: Sample | None = None
        self._explained = self._begins = self._repeats = self._confirmed = False
        self._distinct: Sample | None = None  # the last state before those that repeat it
        self._nothing: NDArray[np.bool_] = np.zeros(n, dtype=bool)
        self._replaced, self._replacements = self._nothing, 0  # positions of the new state; states in a row
        self._unseen = np.inf  # [s] between the last two accepted states, or without any before one was refused
        self._noise, self._steps = SlopeNoise(n), StepHistory()
        self._runs = np.zeros(n, dtype=int)  # velocities replaced in a row
        self._held: NDArray[np.bool_] = self._nothing  # velocities of the last state that changed suddenly
        self.corrected: NDArray[np.bool_] = self._nothing
        self.replaced: NDArray[np.bool_] = self._nothing
        self.estimated = self.second_publisher = False
        self._sudden: Sample | None = None  # the state before, if it changed suddenly
        self._suspect: Sample | None = None  # the state refused last
        self._suspects, self._first_suspect = 0, 0.0  # in a row, each continuing the one before; the first one's stamp
        self._alternation, self._accepted_since_suspect = Alternation(), 0
        self.origin.forget()
        self._estimator.reset()
        self._history.clear()

    def can_continue(self, q: Array) -> bool:
        """Whether the state q (n,) lacks one position, and that may be continued from the state before."""
        clear = self._suspect is None or (self._accepted_since_suspect > 0 and not self.second_publisher)
        return clear and self._last is not None and self._replacements < REPLACED and int(np.isnan(q).sum()) == 1

    def examine(self, stamp: float, raw: Array, qd: Array) -> tuple[Rejection, str] | None:
        """Judge a state; None if it may be accepted.

        Parameters
        ----------
        stamp
            of the state [s].
        raw
            (n,) positions as they were reported [rad or m], one of them NaN if `can_continue`.
        qd
            (n,) velocities [rad/s or m/s], NaN where none was measured.
        """
        last, pending = self._last, None if self._accepted_since_suspect else self._suspect
        self._begins = self._explained = self._repeats = self._confirmed = self._strayed = False
        self._replaced, lost = self._nothing, np.isnan(raw)
        newest = last if pending is None else pending
        if last is None or newest is None or stamp <= last.stamp or stamp - newest.stamp > LONGEST_GAP:
            if lost.any():
                return Rejection.NOT_FINITE, f"positions {raw.tolist()}"
            q = raw if last is None else unwrapped(self._continuous, last, stamp, raw, qd)
            self._new = Sample(stamp, raw, q, qd, qd, qd)
            return None
        new = self._new = following(self._continuous, last, stamp, raw, qd)
        if self.second_publisher and not self.origin.known:
            return self._suspected(stamp, raw, qd, last, self._leapt(last, new, 1.0))
        again = frozen(last, raw, qd, self._robot.velocity_limit)
        if again and stamp - (self._distinct or last).stamp <= LONGEST_GAP:
            self._new, self._repeats = Sample(stamp, raw, last.q, last.qd, last.slope, qd), True
            return None
        step = stamp - last.stamp
        gap = self._steps.lacks(step)
        share = 1.0 if pending is None else max(stamp - pending.stamp, min(step, self._unseen)) / step
        self._explained = True
        if lost.any():
            self._continue(last, new, lost, qd)
            return (Rejection.NOT_FINITE, f"positions {raw.tolist()} after {1e3 * step:.3g} ms") if gap else None
        self._confirmed = self._continues(self._sudden, stamp, raw, qd)
        if self._confirmed:  # the state before, which changed suddenly, was right
            return None
        leapt = self._leapt(last, new, share)
        sudden = self._leapt(last, new, share, believed=False)
        if self._distinct is not None and not again:  # the repetitions in between were older than their stamps
            leapt &= self._leapt(self._distinct, following(self._continuous, self._distinct, stamp, raw, qd), share)
        if self._history.copied(raw, qd, last.raw):
            leapt = np.abs(new.q - last.q) > 0.0
        if not leapt.any():
            if pending is None and self._distinct is None and sudden.any():
                self._sudden = new
                if gap:
                    return self._suspected(stamp, raw, qd, last, sudden)
                self._continue(last, new, sudden, np.where(sudden, last.qd, new.qd))
            return None
        problem = self._suspected(stamp, raw, qd, last, leapt)
        one = leapt.sum() == 1 and self._replacements < REPLACED and not gap
        if problem is None or problem[0] is not Rejection.LEAP or not one:
            return problem
        self._continue(last, new, leapt, new.qd)
        return None

    def _continue(self, last: Sample, new: Sample, lost: NDArray[np.bool_], qd: Array) -> None:
        """Let the new state be the one whose positions `lost` (n,) are continued from the last one."""
        self._replaced = lost
        self._new = continued(last, new, lost, qd, self._tolerance(new.stamp - last.stamp))

    def _continues(self, before: Sample | None, stamp: float, raw: Array, qd: Array) -> bool:
        """Whether a state continues the one `before`; it is the new one then."""
        if before is None or stamp - before.stamp > LONGEST_GAP:
            return False
        new = following(self._continuous, before, stamp, raw, qd)
        continues = not self._leapt(before, new, 1.0).any()
        self._new = new if continues else self._new
        return continues

    def _suspected(
        self, stamp: float, raw: Array, qd: Array, last: Sample, leapt: NDArray[np.bool_]
    ) -> tuple[Rejection, str] | None:
        """Refuse a state, or let it be a new beginning; tell whether a second publisher sends it."""
        before = self._suspect
        suspect = Sample(stamp, raw, raw, qd, qd, qd)
        continues = False
        if before is not None and 0.0 < stamp - before.stamp <= LONGEST_GAP:
            suspect = following(self._continuous, before, stamp, raw, qd)
            continues = not self._leapt(before, suspect, 1.0).any()
            if frozen(before, raw, qd, self._robot.velocity_limit):  # a driver that stands still is no new beginning
                self._first_suspect += stamp - before.stamp
        if self._accepted_since_suspect:
            self._unseen = max(self._unseen, stamp - last.stamp)
            self._alternation.add(suspect.q - last.q, leapt, continues)
        self._suspects = self._suspects + 1 if continues and not self._accepted_since_suspect else 0
        if not self._suspects:
            self._first_suspect = stamp
        self._suspect, self._accepted_since_suspect = suspect, 0
        self.origin.refuse(stamp)
        self.second_publisher |= self._alternation.found
        if self._suspects >= STRAY - 1 and not self.second_publisher and self._recovers(stamp, raw, qd, last):
            return None
        if self._suspects >= CONTINUING and stamp - self._first_suspect >= NEW_BEGINNING:
            self._begins = True
            return None
        joint, ms = int(leapt.argmax()), 1e3 * (stamp - last.stamp)
        where = f"'{self._robot.joints[joint]}' leapt from {last.q[joint]:.4g} to {raw[joint]:.4g}"
        if self.second_publisher:
            return Rejection.SECOND_PUBLISHER, f"states of two publishers alternate: joint {where} within {ms:.3g} ms"
        return Rejection.LEAP, f"joint {where} within {ms:.3g} ms"

    def _recovers(self, stamp: float, raw: Array, qd: Array, last: Sample) -> bool:
        """Whether the state accepted last was wrong, or the clock of the stamps was set by a little in motion."""
        self._strayed = self._suspects == STRAY - 1 and self._continues(self._previous, stamp, raw, qd)
        sure = self._sure or last
        step = stamp - sure.stamp
        if self._strayed or step > LONGEST_GAP or not self._steps.lacks(step):
            return self._strayed
        new = following(self._continuous, sure, stamp, raw, qd)
        if not shifted(sure, new, self._tolerance(step), self._steps.usual):
            return False
        self._new, self._explained = new, False
        return True

    def accept(self, *, restarted: bool = False) -> tuple[Array, Array, bool] | None:
        """Accept the state examined last; `restarted`: its stamps begin a new time line.

        Return q (n,) without jumps of whole turns, qd (n,), and whether the state does not continue those before; None
        if a velocity is missing and cannot be estimated yet.
        """
        new, last = self._new, self._previous if self._strayed else self._last
        assert new is not None, "examine() comes before accept()"
        begins = restarted or self._begins
        if begins:
            self.origin.known &= not self._begins
            self.forget()
            new, last = Sample(new.stamp, new.raw, new.raw, new.measured, new.measured, new.measured), None
        estimate = self._estimator.update(new.stamp, new.q)
        judged = self._explained and self._distinct is None
        qd = self._admitted(last, new, estimate) if last is not None and judged else new.measured
        self._distinct = (self._distinct or last) if self._repeats else None
        missing = np.isnan(qd)
        self.estimated = bool(missing.any())
        if self.estimated and estimate is not None:
            qd = np.where(missing, estimate, qd)
        self._unseen = np.inf if last is None else new.stamp - last.stamp
        self._steps.add(self._unseen)
        self._previous, self.replaced = last, self._replaced
        self._last = Sample(new.stamp, new.raw, new.q, qd, new.slope, new.measured)
        if self._replaced.any():
            self._replacements += 1
        else:
            self._replacements, self._sudden, self._sure = 0, None, self._last
            self._history.add(new.raw, new.measured)
            self._accepted_since_suspect += 1
        if self._suspect is not None and new.stamp - self._suspect.stamp > FORGOTTEN:
            self.second_publisher, self._alternation, self._suspect = False, Alternation(), None
        self.origin.accept(new.stamp, second_publisher=self.second_publisher)
        return None if self.estimated and estimate is None else (new.q, qd, begins)

    def _tolerance(self, step: float) -> Array:
        """Return e (n,) for a time `step` [s] between two states."""
        return np.asarray(self._floor + self._noise.explained(step) + self._robot.acceleration_limit * step)

    def _leapt(self, last: Sample, new: Sample, share: float, *, believed: bool = True) -> NDArray[np.bool_]:
        """Return (n,) whose positions no velocity explains, the new one only if it is `believed`.

        `share`: of the time between them, that may explain something; what came in between was refused.
        """
        low, high = np.fmin(last.qd, last.slope), np.fmax(last.qd, last.slope)
        if share == 1.0 and not self.second_publisher:
            uneven = self._steps.unevenness(new.stamp - last.stamp)
            low, high = np.fmin(low, uneven * last.qd), np.fmax(high, uneven * last.qd)
        tolerance = share * self._tolerance(share * (new.stamp - last.stamp))
        if believed:
            low, high = np.fmin(low, new.qd), np.fmax(high, new.qd)
        else:
            tolerance = tolerance + self._sudden_change + self._more * (new.stamp - last.stamp)
        return np.asarray((new.slope < low - tolerance) | (new.slope > high + tolerance))

    def _admitted(self, last: Sample, new: Sample, estimate: Array | None) -> Array:
        """Return qd (n,) with NaN where the positions contradict it, and learn how much the slope varies."""
        step = new.stamp - last.stamp
        tolerance = self._tolerance(step)
        off = contradicted(last, new, new.slope, tolerance)
        if off.any() and not self.second_publisher and (uneven := self._steps.unevenness(step)) != 1.0:
            off &= contradicted(last, new, new.slope / uneven, tolerance)
        self._runs = np.where(off, self._runs + 1, np.where(self._runs >= PERSISTENT, self._runs, 0))
        self.corrected = (off | (self._runs >= PERSISTENT)) & ~np.isnan(new.qd)
        self._noise.learn(new.slope - last.slope, step)
        admitted = np.where(self.corrected, np.nan, new.qd) if estimate is not None else new.qd
        limit = self._floor + self._sudden_change + (self._more + self._robot.acceleration_limit) * step
        held = (np.abs(new.qd - last.qd) > limit) & ~self.corrected
        held &= ~(self._held | self._confirmed)
        self._held, self.corrected = held, self.corrected | held
        return np.where(held, last.qd, admitted)
