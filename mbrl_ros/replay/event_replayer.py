"""Repeat what the event log says was done to the controller: requests, parameters, models, policies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from ..config.configuration import Configuration
from ..config.renamed import current
from ..controllers.policy import PolicyController
from ..distillation.compiled_policy import CompiledPolicy
from ..distillation.policy import from_bytes
from ..dynamics.base import Estimator
from ..dynamics.checkpoint import content_hash, load_model
from ..exceptions import ConfigurationError, DataError, MbrlError
from ..messages.obstacles import of_details
from ..messages.readers import Message
from ..robots import Robot
from ..runtime.event_log import Event
from ..safety.state_machine import Guard, Reason, Request
from .loop import ReplayLoop
from .notes import Notes

REQUESTS = {request.name.lower(): request for request in Request}
WITHOUT_NOTE = ("activate", "deactivate", "parameters", "uncontrolled_joints", "trajectory", "obstacles")
TIMED = ("planner.time_budget",)  # settings that would make a replay depend on the machine's speed


class EventReplayer:
    """Repeats events on the controller of `loop`.

    Parameters
    ----------
    loop, robot, notes
        of the replay.
    bag
        files that are not where they were are looked for beside it and in it.
    planning
        whether there is a controller, and not only a model that learns.
    """

    def __init__(self, loop: ReplayLoop, robot: Robot, bag: Path, notes: Notes, *, planning: bool):
        self._loop, self._cycle, self._robot, self._bag, self._notes = loop, loop.cycle, robot, bag, notes
        self._planning = planning
        self._policies: dict[str, bytes] = {}  # by their SHA-256
        self._actions: dict[str, Callable[[Event], object]] = {
            "activate": lambda event: self._cycle.begin(),
            "deactivate": lambda event: self._cycle.end(),
            "trajectory": lambda event: self._cycle.controller.joins.tell(float(event.details["at"])),
            "interruption": lambda event: self._loop.conditions.interrupt(Reason[event.details["cause"]]),
            "reset_model": lambda event: self._dynamics().reset(),
            "load_model": self._load_model,
        }
        if planning:
            self._actions |= {
                "parameters": self._set_parameters,
                "policy": self._use_policy,
                "promote_policy": lambda event: self._policy_controller().promote(),
                "demote_policy": lambda event: self._policy_controller().demote(),
                "stop_motion": lambda event: self._cycle.stop_motion(),
                "guard": self._override,
                "uncontrolled_joints": self._place_uncontrolled,
                "obstacles": self._set_obstacles,
                **dict.fromkeys(REQUESTS, lambda event: self._cycle.request(REQUESTS[event.name])),
            }

    def add_policy(self, content: bytes) -> None:
        """Keep a policy of the bag for the event that uses it."""
        self._policies[hashlib.sha256(content).hexdigest()] = content

    def repeat(self, event: Event) -> None:
        """Repeat an event; what cannot be repeated is noted."""
        action = self._actions.get(event.name)
        if action is None:
            if self._planning:
                self._notes.warn(f"'{event.name}' was done to the controller, which this version does not know")
            return
        self._loop.conditions.set_recent(event.fresh)
        try:
            action(event)
        except (MbrlError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:  # a damaged entry
            self._notes.warn(f"{event.name} could not be done again, commands differ from there on: {error}")
        else:
            if event.name not in WITHOUT_NOTE:
                self._notes.add(f"{event.name}: done again")
        self._loop.conditions.set_recent(True)

    def _dynamics(self) -> Estimator:
        dynamics = self._cycle.controller.dynamics
        if dynamics is None:
            raise DataError("this controller learns no model")
        return dynamics

    def _policy_controller(self) -> PolicyController:
        controller = self._cycle.controller
        if not isinstance(controller, PolicyController):
            raise DataError("this controller uses no policy")
        return controller

    def _load_model(self, event: Event) -> None:
        recorded, wanted = Path(event.details["file"]), event.details["sha256"]
        for file in (recorded, self._bag / recorded.name, self._bag.parent / recorded.name):
            if wanted and content_hash(file) == wanted:
                load_model(file, self._dynamics(), self._robot)
                return
        found = [str(file) for file in (recorded, self._bag / recorded.name) if file.exists()]
        raise DataError(
            (f"{found[0]} has changed since" if found else f"{recorded} is not here")
            + f"; put the file with SHA-256 {wanted[:12]}... beside the bag"
        )

    def _override(self, event: Event) -> None:
        known = (event.details["command"], event.details.get("speed"))  # bags of older versions hold no speed
        command, speed = (None if values is None else np.array(values, dtype=np.float64) for values in known)
        self._cycle.supervisor.override(Guard(event.details["guard"]), command, speed)

    def _set_obstacles(self, event: Event) -> None:
        rule = self._cycle.supervisor.collisions
        if rule is not None:
            rule.set_obstacles(of_details(event.details["boxes"]))

    def _place_uncontrolled(self, event: Event) -> None:
        positions = event.details["positions"]
        self._cycle.controller.place_uncontrolled(np.array(positions, dtype=np.float64))  # None becomes NaN

    def _set_parameters(self, event: Event) -> None:
        controller = self._cycle.controller
        values = {current(key): value for key, value in event.details["values"].items() if key not in TIMED}
        if not values:
            return
        self._notes.add("parameters set: " + ", ".join(f"{key}={value}" for key, value in values.items()))
        controller.update_settings(Configuration.from_flat({**controller.configuration.flat(), **values}))

    def _use_policy(self, event: Event) -> None:
        content = self._policies.get(event.details["sha256"])
        if content is None:
            raise DataError("the topic 'policy' is not in the bag")
        policy = from_bytes(content)
        version = policy.version or None
        self._policy_controller().use(CompiledPolicy(policy, self._robot), version)


_VALUES = {  # of a rcl_interfaces/ParameterValue, by its type
    1: attrgetter("bool_value"),
    2: attrgetter("integer_value"),
    3: attrgetter("double_value"),
    4: attrgetter("string_value"),
    8: attrgetter("double_array_value"),
    9: attrgetter("string_array_value"),
}


def value_of(value: Message) -> Any:
    """Return what a rcl_interfaces/ParameterValue holds."""
    if value.type not in _VALUES:
        raise ConfigurationError(f"a parameter of type {value.type} is no setting of this package")
    found = _VALUES[value.type](value)
    return tuple(np.asarray(found).tolist()) if value.type > 4 else found
