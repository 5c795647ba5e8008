"""The input gate: which inputs may reach the controller, judged by their header stamps.

Message k carries the stamp s_k and arrives at a_k in this process's clock. Its age is

    a_k - s_k                        if both clocks are one ("ros"),
    (a_k - s_k) - min_j (a_j - s_j)  if the robot has its own ("own"): the fastest message of the last minute counts
                                     as fresh, so an unknown constant offset and a slow drift cancel.

A stamp must be later than the last one and its age inside [-timeout, timeout]. A stream that persistently continues
on another time line (a driver was restarted, a simulation reset or paused) is taken up again, once, as a restart. A
clock that was set back by little comes past its last stamp again before that; then the stream is taken up there.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Sequence

CLOCKS_AGREE = 10.0  # [s]: "auto" takes clocks that differ by less for one
CLOCK_JUMP = 1.0  # [s]: a stamp that leaps further than this against its arrival is another time line
PATIENCE = 5  # messages in a row on another time line before it is taken up; without states an effort is open loop
SET_BACK = 2  # messages in a row, each later than the one before and all earlier than the last: a clock was set back
LASTING = 1.0  # [s] of nothing but messages late by the same time before their clock counts as stopped
BACKLOG = 0.2  # messages that come in less than this share of the time their stamps span were held up somewhere
OFFSET_MEMORY = 30.0  # [s]: the fastest message is remembered for one to two of these


class Rejection(str, enum.Enum):
    """Why an input was not used; the value is its name in diagnostics."""

    NO_CLOCK = "no clock"  # use_sim_time, and no message of /clock yet
    NO_STAMP = "no stamp"  # header.stamp is zero, negative or not finite
    DUPLICATE = "duplicate stamp"  # the same stamp as the message before
    BACKWARD = "backward stamp"  # an earlier stamp than the message before
    STALE = "stale"  # older on arrival than the time-out
    FUTURE = "stamp in the future"  # further ahead than the time-out
    CLOCK_JUMP = "clock jump"  # the stamps leapt against their arrival
    WRONG_LENGTH = "wrong length"  # the arrays do not belong to one list of names, or not to the number of points
    MISSING_JOINTS = "missing joints"  # a joint of the robot is not named
    DUPLICATE_JOINTS = "duplicate joint names"  # a joint of the robot is named twice
    MISSING_VELOCITY = "missing velocity"  # no velocities, and control.missing_velocity is "refuse"
    NOT_FINITE = "not finite"  # a value is NaN or infinite
    IMPLAUSIBLE = "implausible value"  # far outside the robot's limits
    LEAP = "leap"  # positions that velocity and time do not explain
    SECOND_PUBLISHER = "second publisher"  # states of the same joints from two publishers alternate
    TOO_LARGE = "too large"  # the message is longer than any that could be meant
    WRONG_FIELDS = "wrong fields"  # a point cloud without the fields that are needed


class Admission(enum.Enum):
    """What became of a message: RESTARTED means accepted, as the first one of another time line."""

    REJECTED = 0
    ACCEPTED = 1
    RESTARTED = 2


class InputGate:
    """Judges the messages of one stream.

    `accepted` and `restarts` count messages, `rejected` those refused by reason, `corrected` those of which a part was
    replaced, by what it was; `details` holds the last explanation of each. `silent` names parts that come no more.

    Parameters
    ----------
    stream
        its name in explanations.
    timeout
        bounds the age [s].
    clock
        "ros", "own", "auto" (one of the two, by the first stamp) or "stamps" (no clock at all: only the order of the
        stamps counts, for lockstep).
    """

    def __init__(self, stream: str, *, timeout: float, clock: str = "auto"):
        self.stream, self.timeout, self.clock = stream, timeout, clock
        self.accepted = self.restarts = 0
        self.rejected: Counter[str] = Counter()
        self.corrected: Counter[str] = Counter()
        self.details: dict[str, str] = {}
        self.silent: Sequence[str] = ()
        self._last: float | None = None  # the stamp accepted last [s]
        # messages in a row on another time line: how many, the last one's stamp, the first one's stamp and arrival [s]
        self._suspects, self._suspect_stamp, self._first_suspect = 0, 0.0, (0.0, 0.0)
        self._suspected = Rejection.BACKWARD  # why the last of them was refused
        # arrival - stamp of the fastest message [s]: ever remembered, of the window before the present one, of this one
        self._fastest = self._older = self._newer = math.inf
        self._window_start = -math.inf

    def set_timeout(self, timeout: float) -> None:
        """Bound the age by `timeout` [s] from now on."""
        self.timeout = timeout

    def reject(self, reason: Rejection, detail: str) -> Admission:
        """Count an input as unusable for `reason`; `detail` says what was wrong, with names and values."""
        self.rejected[reason.value] += 1
        self.details[reason.value] = detail
        return Admission.REJECTED

    def correct(self, what: str, detail: str) -> None:
        """Count an input of which a part was replaced; `detail` says which."""
        self.corrected[what] += 1
        self.details[what] = detail

    def admit(self, stamp: float, now: float) -> Admission:
        """Judge a message stamped `stamp` [s] that arrives at `now` [s]. Stamps must come in rising order.

        Zero, which is also what a publisher sends that sets no stamp, is accepted once: time may begin there.
        """
        if not (math.isfinite(stamp) and stamp >= 0.0) or stamp == self._last == 0.0:
            return self.reject(
                Rejection.NO_STAMP, f"{self.stream}: header.stamp is {stamp:g}; the publisher must set it"
            )
        if self._last is not None:
            since = stamp - self._last
            if since == 0.0:
                return self.reject(Rejection.DUPLICATE, f"{self.stream}: stamp {stamp:.9f} came twice")
            if since < 0.0:
                return self._suspect(
                    stamp,
                    now,
                    Rejection.BACKWARD,
                    f"{self.stream}: stamp {stamp:.9f} is {-since:.6f} s before the last one",
                )
        if self.clock == "auto":
            self.clock = "ros" if abs(now - stamp) <= CLOCKS_AGREE else "own"
        if self.set_back(stamp, now):
            return self._restart(stamp, now)
        leap = self._fastest - (now - stamp)  # of the stamps against their arrival
        if self.clock == "own" and CLOCK_JUMP < abs(leap) < math.inf:
            reason = Rejection.CLOCK_JUMP if leap > 0.0 else Rejection.STALE
            return self._suspect(
                stamp, now, reason, f"{self.stream}: stamps leapt by {leap:.3f} s against their arrival"
            )
        age = self._age(stamp, now)
        if age > self.timeout:
            detail = f"{self.stream}: {age:.3f} s old on arrival, more than {self.timeout:g} s{self._hint()}"
            if self.clock == "own":
                return self._suspect(stamp, now, Rejection.STALE, detail, LASTING)
            return self.reject(Rejection.STALE, detail)
        if age < -self.timeout:
            return self.reject(Rejection.FUTURE, f"{self.stream}: stamped {-age:.3f} s in the future{self._hint()}")
        return self._accept(stamp, now, Admission.ACCEPTED)

    def set_back(self, stamp: float, now: float) -> bool:
        """Whether a message stamped `stamp` [s] that arrives at `now` [s] comes from a clock that was set back.

        It is later than the last accepted one, but continues at least SET_BACK messages that were earlier.
        """
        first_stamp, first_arrival = self._first_suspect
        return (
            self.clock != "stamps"
            and self._last is not None
            and stamp > self._last
            and self._suspects >= SET_BACK
            and self._suspected is Rejection.BACKWARD
            and 0.0 < stamp - self._suspect_stamp < CLOCK_JUMP
            and now - first_arrival >= BACKLOG * (stamp - first_stamp)
            and (self.clock != "ros" or abs(now - stamp) <= self.timeout)
        )

    def wait(self, now: float) -> bool:
        """Take note that the state accepted last, and no other before it, came once more at `now` [s].

        Time stood still where it was made, so that the states after it are only as late as this one. Return False
        after `forget`: the next message is then judged like the first one.
        """
        if self._last is None:
            return False
        self._window_start, self._older, self._newer = now, math.inf, now - self._last
        self._fastest = self._newer
        return True

    def age(self, now: float) -> float:
        """Return the age [s] at `now` [s] of the newest accepted message; infinite before the first."""
        return math.inf if self._last is None else self._age(self._last, now)

    def _age(self, stamp: float, now: float) -> float:
        if self.clock == "stamps":
            return 0.0
        offset = now - stamp
        return offset if self.clock == "ros" else offset - min(offset, self._fastest)

    def _accept(self, stamp: float, now: float, admission: Admission) -> Admission:
        self._last, self._suspects = stamp, 0
        self.accepted += 1
        if now - self._window_start > OFFSET_MEMORY:
            self._window_start, self._older, self._newer = now, self._newer, math.inf
        self._newer = min(self._newer, now - stamp)
        self._fastest = min(self._older, self._newer)
        return admission

    def _suspect(self, stamp: float, now: float, reason: Rejection, detail: str, lasting: float = 0.0) -> Admission:
        """Reject, but accept the PATIENCE-th message in a row that continues the same other time line.

        The first of them must have come `lasting` [s] ago. A backlog, whose messages come faster than they were
        stamped, is no time line.
        """
        continues = self._suspects > 0 and 0.0 < stamp - self._suspect_stamp < CLOCK_JUMP
        if not continues:
            self._first_suspect, self._suspects = (stamp, now), 0
        self._suspects, self._suspect_stamp, self._suspected = self._suspects + 1, stamp, reason
        first_stamp, first_arrival = self._first_suspect
        backlog = self.clock != "stamps" and now - first_arrival < BACKLOG * (stamp - first_stamp)
        if self._suspects < PATIENCE or backlog or now - first_arrival < lasting:
            return self.reject(reason, detail)
        return self._restart(stamp, now)

    def _restart(self, stamp: float, now: float) -> Admission:
        self.forget()
        self.restarts += 1
        return self._accept(stamp, now, Admission.RESTARTED)

    def forget(self) -> None:
        """Judge the next message like the first one."""
        self._last = None
        self._suspects, self._suspect_stamp, self._first_suspect = 0, 0.0, (0.0, 0.0)
        self._fastest = self._older = self._newer = math.inf
        self._window_start = -math.inf

    def _hint(self) -> str:
        return (
            "" if self.clock != "ros" else "; are the clocks synchronised? (control.stamp_clock: own if they cannot be)"
        )
