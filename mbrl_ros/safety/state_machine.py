"""The supervisor's state machine as a table: which event leads from which state to which.

The states and what they command:

    HOLD      come to rest within the acceleration limits and stay, until resumed
    RAMP_IN   from holding to following the controller, without a step
    ACTIVE    follow the controller
    DEGRADED  follow it more slowly while something is in doubt; the safe command while states or decisions are missing
    FAULT     the safe command, until cleared by somebody
    E_STOP    the safe command, until cleared by somebody

`python -m mbrl_ros.safety.state_machine` prints the table and a Mermaid diagram, both made from TABLE.
"""

from __future__ import annotations

import enum


class State(enum.IntEnum):
    """Codes in the status topic."""

    HOLD = 0
    RAMP_IN = 1
    ACTIVE = 2
    DEGRADED = 3
    FAULT = 4
    E_STOP = 5


class Event(enum.Enum):
    """What may happen in a tick. The first four are found by the supervisor, the others asked for by somebody."""

    FINE = "nothing in doubt for a while"
    DOUBT = "something is in doubt"
    OUTAGE = "no state, or no usable decision"
    RETURN = "states or decisions are back"
    TROUBLE = "an outage lasted too long, or a limit was left"
    RAMPED = "the ramp is over"
    HOLD = "hold requested"
    RESUME = "resume requested"
    CLEAR = "clear requested, and its cause is gone"
    E_STOP = "emergency stop requested"


class Reason(enum.IntFlag):
    """Why a command is not the one that was wished for, or why the state is what it is; several may hold at once."""

    NONE = 0
    NOT_FINITE = 1  # the wish was not finite
    LIMIT = 2  # ... outside the command limits
    RATE = 4  # ... too far from the last command
    SPEED = 8  # a joint would become too fast, or too fast for the distance to its stop
    PLANNER = 16  # the planner failed
    STALE_STATE = 32  # the newest joint state is too old
    CONTROLLER_ERROR = 64  # the controller raised an error
    STOPPING = 128  # the node ends
    MODEL_INCONSISTENT = 256  # the model's innovations are far outside their bounds
    FEATURES = 512  # image target, but no recent features
    SATURATED = 1024  # a command has stood at its limit for long
    OUTSIDE = 2048  # a joint is outside its position limits
    OVERSPEED = 4096  # a joint is much faster than its limit
    CLOCK_JUMP = 8192  # the stamps began a new time line
    REQUESTED = 16384  # somebody asked for it
    MODEL_LOST = 32768  # ... and have been for a while
    LATE = 65536  # the commands that act are older than the delay compensation stands for: this machine answers late
    TOO_LATE = 131072  # ... and so old that the arm is held


S, E = State, Event
TABLE: dict[tuple[State, Event], State] = {
    (S.HOLD, E.FINE): S.HOLD,
    (S.HOLD, E.DOUBT): S.HOLD,
    (S.HOLD, E.OUTAGE): S.HOLD,
    (S.HOLD, E.RETURN): S.HOLD,
    (S.HOLD, E.TROUBLE): S.FAULT,
    (S.HOLD, E.RAMPED): S.HOLD,
    (S.HOLD, E.HOLD): S.HOLD,
    (S.HOLD, E.RESUME): S.RAMP_IN,
    (S.HOLD, E.CLEAR): S.HOLD,
    (S.HOLD, E.E_STOP): S.E_STOP,
    (S.RAMP_IN, E.FINE): S.RAMP_IN,
    (S.RAMP_IN, E.DOUBT): S.RAMP_IN,
    (S.RAMP_IN, E.OUTAGE): S.DEGRADED,
    (S.RAMP_IN, E.RETURN): S.RAMP_IN,
    (S.RAMP_IN, E.TROUBLE): S.FAULT,
    (S.RAMP_IN, E.RAMPED): S.ACTIVE,
    (S.RAMP_IN, E.HOLD): S.HOLD,
    (S.RAMP_IN, E.RESUME): S.RAMP_IN,
    (S.RAMP_IN, E.CLEAR): S.RAMP_IN,
    (S.RAMP_IN, E.E_STOP): S.E_STOP,
    (S.ACTIVE, E.FINE): S.ACTIVE,
    (S.ACTIVE, E.DOUBT): S.DEGRADED,
    (S.ACTIVE, E.OUTAGE): S.DEGRADED,
    (S.ACTIVE, E.RETURN): S.ACTIVE,
    (S.ACTIVE, E.TROUBLE): S.FAULT,
    (S.ACTIVE, E.RAMPED): S.ACTIVE,
    (S.ACTIVE, E.HOLD): S.HOLD,
    (S.ACTIVE, E.RESUME): S.ACTIVE,
    (S.ACTIVE, E.CLEAR): S.ACTIVE,
    (S.ACTIVE, E.E_STOP): S.E_STOP,
    (S.DEGRADED, E.FINE): S.ACTIVE,
    (S.DEGRADED, E.DOUBT): S.DEGRADED,
    (S.DEGRADED, E.OUTAGE): S.DEGRADED,
    (S.DEGRADED, E.RETURN): S.RAMP_IN,
    (S.DEGRADED, E.TROUBLE): S.FAULT,
    (S.DEGRADED, E.RAMPED): S.DEGRADED,
    (S.DEGRADED, E.HOLD): S.HOLD,
    (S.DEGRADED, E.RESUME): S.DEGRADED,
    (S.DEGRADED, E.CLEAR): S.DEGRADED,
    (S.DEGRADED, E.E_STOP): S.E_STOP,
    **{(S.FAULT, event): S.FAULT for event in E},
    (S.FAULT, E.CLEAR): S.HOLD,
    (S.FAULT, E.E_STOP): S.E_STOP,
    **{(S.E_STOP, event): S.E_STOP for event in E},
    (S.E_STOP, E.CLEAR): S.HOLD,
}


def markdown() -> str:
    """The table, one row per state, one column per event; a dot where nothing changes."""
    rows = [["", *(event.name for event in Event)], ["---"] * (len(Event) + 1)]
    for state in State:
        rows.append(
            [
                f"**{state.name}** ({state.value})",
                *("." if TABLE[state, event] is state else TABLE[state, event].name for event in Event),
            ]
        )
    meanings = "\n".join(f"- {event.name}: {event.value}" for event in Event)
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n\n" + meanings


def mermaid() -> str:
    """A state diagram of the transitions that change the state."""
    edges: dict[tuple[State, State], list[str]] = {}
    for (state, event), after in TABLE.items():
        if after is not state:
            edges.setdefault((state, after), []).append(event.name)
    lines = [f"    {state.name} --> {after.name}: {', '.join(events)}" for (state, after), events in edges.items()]
    return "\n".join(["stateDiagram-v2", "    [*] --> HOLD", *lines])


if __name__ == "__main__":
    print(f"{markdown()}\n\n```mermaid\n{mermaid()}\n```")
