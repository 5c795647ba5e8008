"""The supervisor's state machine as a table: which condition or request leads from which state to which.

The states and what they command:

    HOLD      come to rest within the acceleration limits and stay, until resumed
    RAMP_IN   blend from holding to the controller's command, without a step
    ACTIVE    send the controller's command
    DEGRADED  send it at a lower speed during a warning; the safe command while states or decisions are missing
    FAULT     the safe command, until somebody clears it
    E_STOP    the safe command, until somebody clears it

`python -m mbrl_ros.safety.state_machine` prints the table and a Mermaid diagram, both made from TABLE.
"""

from __future__ import annotations

import enum


class State(enum.IntEnum):
    """The supervisor's states; the values are the codes in the status topic."""

    HOLD = 0
    RAMP_IN = 1
    ACTIVE = 2
    DEGRADED = 3
    FAULT = 4
    E_STOP = 5


class Condition(enum.Enum):
    """What the supervisor finds in a tick."""

    NOMINAL = "no warning for a while"
    WARNING = "a warning holds"
    STALE = "no recent state, or no usable decision"
    RECOVERED = "states or decisions are back"
    FAULT = "a limit was left, or states or decisions were missing for too long"
    RAMPED = "the ramp is over"


class Request(enum.Enum):
    """What somebody asks for through a service."""

    HOLD = "hold requested"
    RESUME = "resume requested"
    CLEAR = "clear requested, and the cause of the fault is gone"
    E_STOP = "emergency stop requested"


class Reason(enum.IntFlag):
    """Why a command is not the requested one, or why the state is what it is; several may hold at once."""

    NONE = 0
    NOT_FINITE = 1  # the requested command was not finite
    LIMIT = 2  # ... outside the command limits
    RATE = 4  # ... too far from the last command
    SPEED = 8  # a joint would become too fast, or too fast for the distance to its stop
    PLANNER = 16  # the planner failed
    STALE_STATE = 32  # the newest joint state is too old
    CONTROLLER_ERROR = 64  # the controller raised an error
    STOPPING = 128  # the node ends
    MODEL_INCONSISTENT = 256  # the model's innovations are far outside their bounds
    FEATURES = 512  # image target, but no recent features
    SATURATED = 1024  # a command has been at its limit for too long
    OUTSIDE = 2048  # a joint is outside its position limits
    OVERSPEED = 4096  # a joint is much faster than its limit
    CLOCK_JUMP = 8192  # the stamps began a new time line
    REQUESTED = 16384  # somebody asked for it
    MODEL_LOST = 32768  # the model's innovations have been far outside their bounds for a while
    LATE = 65536  # the applied commands are older than the compensated delay: this machine answers late
    TOO_LATE = 131072  # ... and so old that the arm is held
    GUARD = 262144  # the guard commands the arm, or has ended
    NOT_FOLLOWING = 524288  # the robot did not move as it was commanded
    NO_COMMAND = 1048576  # this process sent no command for too long
    # The closed loop is bad (loop_monitor.py):
    LOOP_NOISE = 2097152  # the noise of the model is far above its long-run value
    LOOP_TRACKING = 4194304  # the end effector moves away from its reference
    LOOP_CHATTER = 8388608  # the commands go to and fro
    LOOP_OFFSET = 16777216  # what the model expects goes to and fro
    LOOP_SATURATION = 33554432  # commands are at their limits for a large share of the time
    LOOP_LOST = 67108864  # ... for so long at a lowered gain that the arm is held
    COLLISION = 134217728  # slowed down or stopped before the robot touches itself or an obstacle
    OBSTACLE = 268435456  # an obstacle has appeared on the arm, which is held


# the safe command acts, and the controller learns from it
HELD = Reason.MODEL_LOST | Reason.LOOP_LOST | Reason.COLLISION | Reason.OBSTACLE
NO_REASON = Reason.NONE  # to look a member of an enumeration up takes a call in Python 3.11
# Flags as integers, for use within a tick: to combine members of an enumeration takes a hundred times as long.
PLANNER, UNUSABLE = int(Reason.PLANNER), int(HELD | Reason.TOO_LATE | Reason.GUARD)


class Guard(enum.Enum):
    """What the guard between this process and the robot does; the values stand in the event log."""

    ACTS = "acts"  # it commands the arm
    FORWARDS = "forwards"  # it forwards commands again
    ACTED_TOO_LONG = "acted_too_long"  # ... after a time in which the arm was too long without this process
    SILENT = "silent"  # none of its commands has come for a moment: commands go past it, too
    LOST = "lost"  # it has ended: commands go past it


GRANTED = {  # the states in which what was requested is so
    Request.HOLD: {State.HOLD},
    Request.RESUME: {State.RAMP_IN, State.ACTIVE, State.DEGRADED},
    Request.CLEAR: set(State) - {State.FAULT, State.E_STOP},
    Request.E_STOP: {State.E_STOP},
}
Trigger = Condition | Request
TRIGGERS: tuple[Trigger, ...] = (*Condition, *Request)
S, C, R = State, Condition, Request
TABLE: dict[tuple[State, Trigger], State] = {
    (S.HOLD, C.NOMINAL): S.HOLD,
    (S.HOLD, C.WARNING): S.HOLD,
    (S.HOLD, C.STALE): S.HOLD,
    (S.HOLD, C.RECOVERED): S.HOLD,
    (S.HOLD, C.FAULT): S.FAULT,
    (S.HOLD, C.RAMPED): S.HOLD,
    (S.HOLD, R.HOLD): S.HOLD,
    (S.HOLD, R.RESUME): S.RAMP_IN,
    (S.HOLD, R.CLEAR): S.HOLD,
    (S.HOLD, R.E_STOP): S.E_STOP,
    (S.RAMP_IN, C.NOMINAL): S.RAMP_IN,
    (S.RAMP_IN, C.WARNING): S.RAMP_IN,
    (S.RAMP_IN, C.STALE): S.DEGRADED,
    (S.RAMP_IN, C.RECOVERED): S.RAMP_IN,
    (S.RAMP_IN, C.FAULT): S.FAULT,
    (S.RAMP_IN, C.RAMPED): S.ACTIVE,
    (S.RAMP_IN, R.HOLD): S.HOLD,
    (S.RAMP_IN, R.RESUME): S.RAMP_IN,
    (S.RAMP_IN, R.CLEAR): S.RAMP_IN,
    (S.RAMP_IN, R.E_STOP): S.E_STOP,
    (S.ACTIVE, C.NOMINAL): S.ACTIVE,
    (S.ACTIVE, C.WARNING): S.DEGRADED,
    (S.ACTIVE, C.STALE): S.DEGRADED,
    (S.ACTIVE, C.RECOVERED): S.ACTIVE,
    (S.ACTIVE, C.FAULT): S.FAULT,
    (S.ACTIVE, C.RAMPED): S.ACTIVE,
    (S.ACTIVE, R.HOLD): S.HOLD,
    (S.ACTIVE, R.RESUME): S.ACTIVE,
    (S.ACTIVE, R.CLEAR): S.ACTIVE,
    (S.ACTIVE, R.E_STOP): S.E_STOP,
    (S.DEGRADED, C.NOMINAL): S.ACTIVE,
    (S.DEGRADED, C.WARNING): S.DEGRADED,
    (S.DEGRADED, C.STALE): S.DEGRADED,
    (S.DEGRADED, C.RECOVERED): S.RAMP_IN,
    (S.DEGRADED, C.FAULT): S.FAULT,
    (S.DEGRADED, C.RAMPED): S.DEGRADED,
    (S.DEGRADED, R.HOLD): S.HOLD,
    (S.DEGRADED, R.RESUME): S.DEGRADED,
    (S.DEGRADED, R.CLEAR): S.DEGRADED,
    (S.DEGRADED, R.E_STOP): S.E_STOP,
    **{(S.FAULT, trigger): S.FAULT for trigger in TRIGGERS},
    (S.FAULT, R.CLEAR): S.HOLD,
    (S.FAULT, R.E_STOP): S.E_STOP,
    **{(S.E_STOP, trigger): S.E_STOP for trigger in TRIGGERS},
    (S.E_STOP, R.CLEAR): S.HOLD,
}


def markdown() -> str:
    """Return the table with one row per state and one column per trigger; a dot where nothing changes."""
    rows = [["", *(trigger.name for trigger in TRIGGERS)], ["---"] * (len(TRIGGERS) + 1)]
    for state in State:
        after = [TABLE[state, trigger] for trigger in TRIGGERS]
        rows.append([f"**{state.name}** ({state.value})", *("." if s is state else s.name for s in after)])
    meanings = "\n".join(f"- {trigger.name}: {trigger.value}" for trigger in TRIGGERS)
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n\n" + meanings


def mermaid() -> str:
    """Return a state diagram of the transitions that change the state."""
    edges: dict[tuple[State, State], list[str]] = {}
    for (state, trigger), after in TABLE.items():
        if after is not state:
            edges.setdefault((state, after), []).append(trigger.name)
    lines = [f"    {state.name} --> {after.name}: {', '.join(names)}" for (state, after), names in edges.items()]
    return "\n".join(["stateDiagram-v2", "    [*] --> HOLD", *lines])


if __name__ == "__main__":
    print(f"{markdown()}\n\n```mermaid\n{mermaid()}\n```")
