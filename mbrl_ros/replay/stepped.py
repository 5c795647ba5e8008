"""The node's control loop without its thread and without a clock: it does what it is told happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.control_loop import ControlLoop, Tick
from ..runtime.mailbox import Arrival
from ..safety.supervisor import Command
from ..types import Array, Observation


class SteppedLoop(ControlLoop):
    """felt(arrival) gives the command (nu,) that acted instead of the one just computed; None: the latter did.

    `late`, `fresh`: what is to be believed of the next command or act (see Tick and event_log.Event).
    """

    def __init__(self, *arguments: Any, felt: Callable[[Arrival], Array | None], **options: Any):
        super().__init__(*arguments, **options)
        self._felt, self.late, self.fresh = felt, 0.0, True
        self.mailbox.open()

    def advance(self) -> None:
        """Answer every state that waits in the mailbox."""
        while (arrival := self.mailbox.take(lambda: 0.0)) is not None:
            self.answer(arrival) if arrival.due else self.play(arrival)

    def answer(self, arrival: Arrival) -> None:
        """Make a tick of this state, due or not."""
        self._finish(self._tick(arrival))

    def play(self, arrival: Arrival) -> None:
        """Answer this state between two ticks."""
        self._play(arrival)

    def be_silent(self) -> None:
        """No state has come in time."""
        if self._observation is not None:
            self._finish(self._miss())

    def begin(self) -> None:
        """The node was activated."""
        self._begin()

    def begin_anew(self) -> None:
        """The node was started again and knows nothing."""
        self._observation, self._last_command, self._played = None, None, []
        self.supervisor.reset(None)
        self.supervisor.forget_inertia()
        self._told_lateness = (0, 1.0, 0.0)
        self.controller.adapt_to_lateness(0, 1.0, 0.0)
        if self.player is not None:
            self.player.new_epoch()
        self._begin()

    def end(self) -> None:
        """The node was deactivated."""
        self._end()

    @property
    def deadline(self) -> float:
        """When the next state is overdue [s]."""
        return self._deadline if self._observation is not None else float("inf")

    def _late(self, arrival: Arrival) -> float:
        return self.late

    def _acted(self, arrival: Arrival, command: Command) -> Array:
        felt = self._felt(arrival)
        return super()._acted(arrival, command) if felt is None else felt

    def _known(self) -> Observation | None:
        return self._observation if self.fresh else None

    def _finish(self, tick: Tick | None) -> None:
        if tick is not None:
            self._tell(tick)
