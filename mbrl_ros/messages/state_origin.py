"""Whether it is known whose the joint states are; before that no command leaves.

Two publishers of the same joints are told apart by their states, which needs a few of each. Until then nobody knows
which of them is the robot's, and an arm that efforts move falls when states of both are answered. The accepted states
count as the robot's once no other has contradicted them for ALONE seconds of their stamps, so that a second publisher
that sends at 2 Hz or faster is noticed before, or once no second publisher was found in LONGEST_UNKNOWN seconds,
whatever was refused one by one. States with one stamp and different positions contradict each other as well;
CONTRADICTIONS of them before that come from a second publisher.

A simulation in which no time passes before the first command sends its first state again and again. It is answered
when that state was sent again for ALONE seconds of the time of arrival, with nothing else in between.
"""

from __future__ import annotations

import math

ALONE, STATES_ALONE = 0.5, 5  # [s] without a contradiction, and accepted states
LONGEST_UNKNOWN = 2.0  # [s] without a second publisher being found
CONTRADICTIONS = 8  # states with the stamps of others


class StateOrigin:
    """Counts how long the accepted states have been alone.

    `known` tells whether the states that are accepted now are the robot's, `trusted` whether a state may be answered:
    that is so from the first time on when it was known.
    """

    def __init__(self) -> None:
        self.known = self.trusted = False
        self._again_since = math.nan  # when the first state first came again [s]
        self.forget()

    def forget(self) -> None:
        """Count from the next state on."""
        self._first = self._alone_since = math.nan  # stamps [s]
        self._accepted = self._contradictions = 0

    def accept(self, stamp: float, *, second_publisher: bool) -> None:
        """Take note of a state accepted at `stamp` [s], while a second publisher is there or not."""
        if math.isnan(self._first):
            self._first = self._alone_since = stamp
        self._accepted, self._again_since = self._accepted + 1, math.nan
        alone = stamp - self._alone_since >= ALONE and self._accepted >= STATES_ALONE
        if not second_publisher and (alone or stamp - self._first >= LONGEST_UNKNOWN):
            self.known = self.trusted = True

    def refuse(self, stamp: float) -> None:
        """Take note of a state at `stamp` [s] that does not continue those before."""
        self._alone_since, self._accepted, self._again_since = stamp, 0, math.nan

    def contradict(self, stamp: float) -> bool:
        """Take note of a state with the same `stamp` [s] as the last one, and other positions.

        Return whether a second publisher sends it, as far as it is not known whose the states are.
        """
        self.refuse(stamp)
        self._first, self._contradictions = stamp, self._contradictions + 1
        return self._contradictions >= CONTRADICTIONS and not self.known

    def interrupt(self) -> None:
        """Take note of another message while the first state comes again and again."""
        self._again_since = math.nan

    def send_again(self, now: float) -> None:
        """Take note of the first state, which comes again at `now` [s]."""
        if math.isnan(self._again_since):
            self._again_since = now
        self.trusted |= now - self._again_since >= ALONE
