"""What mpc_node does after the command of a tick has left, one job per observer."""

from __future__ import annotations

from ..runtime.interfaces import Tick


class TickObserver:
    """Is shown every tick; a subclass overrides what it needs."""

    def begin(self) -> None:
        """Start: the node becomes active."""

    def after_tick(self, tick: Tick) -> None:
        """Do the job for one tick, in the control thread."""

    def end(self) -> None:
        """Finish; the last command has reached its subscribers."""

    def destroy(self) -> None:
        """Release publishers, services and threads."""
