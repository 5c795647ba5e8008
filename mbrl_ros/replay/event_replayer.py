"""Repeat what the event log says was done to the controller: requests, parameters, models, policies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..config.configuration import Configuration
from ..distillation.compiled_policy import CompiledPolicy
from ..distillation.policy import from_bytes
from ..dynamics.checkpoint import content_hash, load_model
from ..exceptions import ConfigurationError, DataError, MbrlError
from ..messages.readers import Message
from ..robots import Robot
from ..runtime.event_log import Event
from ..safety.state_machine import Request
from .stepped import SteppedLoop

REQUESTS = {request.name.lower(): request for request in Request}
QUIET = ("activate", "deactivate", "parameters")  # not told as "...: done again"
CLOCKED = ("planner.time_budget",)  # settings that would make a replay depend on the machine's speed


class Repeater:
    """Acts upon `loop`. note(text) is told what was done, warn(text) what could not; `bag`: beside or in which files that
    are not where they were are looked for; `planning`: whether there is more to act upon than a model.
    """

    def __init__(
        self,
        loop: SteppedLoop,
        robot: Robot,
        bag: Path,
        note: Callable[[str], None],
        warn: Callable[[str], None],
        planning: bool,
    ):
        self._loop, self._robot, self._bag, self._note, self._warn, self._planning = (
            loop,
            robot,
            bag,
            note,
            warn,
            planning,
        )
        self.policies: dict[str, bytes] = {}  # by their SHA-256

    def repeat(self, event: Event) -> None:
        """What cannot be done again is a note."""
        done = {
            "activate": self._loop.begin,
            "deactivate": self._loop.end,
            "reset_model": self._reset_model,
            "load_model": self._load_model,
        }
        if self._planning:
            done |= {
                "parameters": self._set_parameters,
                "policy": self._use_policy,
                "promote_policy": self._promote,
                "demote_policy": self._demote,
                **dict.fromkeys(REQUESTS, self._request),
            }
        if event.name not in done:
            if self._planning:
                self._warn(f"'{event.name}' was done to the controller, which this version does not know")
            return
        self._loop.fresh = event.fresh
        try:
            done[event.name](*() if event.name in ("activate", "deactivate") else (event,))
        except (MbrlError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:  # a damaged entry
            self._warn(f"{event.name} could not be done again, commands differ from there on: {error}")
        else:
            if event.name not in QUIET:
                self._note(f"{event.name}: done again")
        self._loop.fresh = True

    def _request(self, event: Event) -> None:
        self._loop.request(REQUESTS[event.name])

    def _dynamics(self) -> Any:
        dynamics = getattr(self._loop.controller, "dynamics", None)
        if dynamics is None:
            raise DataError("this controller learns no model")
        return dynamics

    def _reset_model(self, event: Event) -> None:
        self._dynamics().reset()

    def _load_model(self, event: Event) -> None:
        told, wanted = Path(event.details["file"]), event.details["sha256"]
        for file in (told, self._bag / told.name, self._bag.parent / told.name):
            if wanted and content_hash(file) == wanted:
                load_model(file, self._dynamics(), self._robot)
                return
        found = [str(file) for file in (told, self._bag / told.name) if file.exists()]
        raise DataError(
            (f"{found[0]} has changed since" if found else f"{told} is not here")
            + f"; put the file with SHA-256 {wanted[:12]}... beside the bag"
        )

    def _set_parameters(self, event: Event) -> None:
        controller = self._loop.controller
        values = {key: value for key, value in event.details["values"].items() if key not in CLOCKED}
        if not values:
            return
        self._note("parameters set: " + ", ".join(f"{key}={value}" for key, value in values.items()))
        controller.update_settings(Configuration.from_flat({**controller.configuration.flat(), **values}))

    def _use_policy(self, event: Event) -> None:
        content = self.policies.get(event.details["sha256"])
        if content is None:
            raise DataError("the topic 'policy' is not in the bag")
        policy = from_bytes(content)
        self._loop.controller.use(CompiledPolicy(policy, self._robot), int(policy.about.get("version", 0)) or None)

    def _promote(self, event: Event) -> None:
        self._loop.controller.promote()

    def _demote(self, event: Event) -> None:
        self._loop.controller.demote()


_VALUE_FIELDS = {
    1: "bool_value",
    2: "integer_value",
    3: "double_value",
    4: "string_value",
    8: "double_array_value",
    9: "string_array_value",
}


def value_of(value: Message) -> Any:
    """What a rcl_interfaces/ParameterValue holds."""
    field = _VALUE_FIELDS.get(value.type)
    if field is None:
        raise ConfigurationError(f"a parameter of type {value.type} is no setting of this package")
    found = getattr(value, field)
    return tuple(np.asarray(found).tolist()) if value.type > 4 else found
