"""The event log: what was done to a controller between two commands, so that a replay can do it at the same place.

Besides states and features, a controller's commands depend on requests, parameters, loaded models and policies.
Commands are numbered n = 1, 2, ... since configuration; an event with `after` = n came after command n and before the
next one. Targets are counted only (TargetManager.accepted): the messages that carry them are recorded themselves.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from ..exceptions import DataError

QUIET_EVENTS = ("transform",)
LARGEST_NUMBER = 2**53  # of a command: above it, JSON numbers are not exact


@dataclasses.dataclass(frozen=True)
class Event:
    """One thing that was done.

    Parameters
    ----------
    name
        what was done, e.g. "hold".
    after
        the number of the last command before it.
    targets
        how many targets had been accepted before it.
    fresh
        whether the newest state was recent enough to act on.
    details
        whatever doing it again needs; they depend on `name`.
    """

    name: str
    after: int
    targets: int = 0
    fresh: bool = True
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_json(self) -> str:
        """Return the event as one JSON object: the details and, beside them, the other fields."""
        own = {"name": self.name, "after": self.after, "targets": self.targets, "fresh": self.fresh}
        return json.dumps({**self.details, **own})

    @classmethod
    def from_json(cls, text: str) -> Event:
        """Read an event.

        Raises
        ------
        DataError
            if the text is none.
        """
        try:
            content = json.loads(text)
            if "did" in content:  # the key of earlier recordings
                content["name"] = content.pop("did")
            name, after, targets, fresh = (content.pop(key) for key in ("name", "after", "targets", "fresh"))
            after, targets = int(after), int(targets)
            if not 0 <= after < LARGEST_NUMBER or not 0 <= targets < LARGEST_NUMBER:
                raise ValueError("no such number")
            return cls(str(name), after, targets, bool(fresh), content)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise DataError(f"not an entry of an event log: {text[:60]!r} ({error})") from None


def shown_event(text: str) -> str:
    """Return an entry of the log in words; empty where it is none, or no news: frames come as often as states."""
    try:
        event = Event.from_json(text)
    except DataError:
        return ""
    return "" if event.name in QUIET_EVENTS else f"after command {event.after}: {event.name}"
