"""What was done to a controller from outside, between two commands, so that a replay can do the same at the same place.

Besides states and features, what a controller answers depends on requests, parameters, loaded models and policies.
Commands are numbered n = 1, 2, ... from configuration on; an act `after` = n came after command n and before the next.
Targets are counted instead (TargetManager.accepted): the messages that carry them are recorded themselves.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from ..exceptions import DataError

MOST = 2**53  # commands


@dataclasses.dataclass(frozen=True)
class Act:
    """`did`: what, e.g. "hold"; `targets`: how many were accepted before; `fresh`: whether the newest state was recent
    enough to act on. `details` depend on what was done.
    """

    did: str
    after: int
    targets: int = 0
    fresh: bool = True
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(
            {**self.details, "did": self.did, "after": self.after, "targets": self.targets, "fresh": self.fresh}
        )

    @classmethod
    def from_json(cls, text: str) -> Act:
        """DataError if it is none."""
        try:
            content = json.loads(text)
            own = {key: content.pop(key) for key in ("did", "after", "targets", "fresh")}
            after, targets = int(own["after"]), int(own["targets"])
            if not 0 <= after < MOST or not 0 <= targets < MOST:
                raise ValueError("no such number")
            return cls(str(own["did"]), after, targets, bool(own["fresh"]), content)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise DataError(f"not an entry of a journal: {text[:60]!r} ({error})") from None
