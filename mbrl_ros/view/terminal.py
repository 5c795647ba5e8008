"""What `mbrl top` shows: one frame of text of a controller, its robot and its guard.

Every text that came from elsewhere is made printable: a terminal obeys what is in it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..console.plain import printable
from ..robots import urdf

SHOWN_MESSAGES = 6  # newest ones that are kept
BAR_LENGTH = 21  # characters of a bar
UNKNOWN_LIMITS = "limits not known"
NEAR_LIMIT = 0.9  # share of a limit from which on a bar warns
LEVEL_NAMES = {0: "ok", 1: "WARN", 2: "ERROR", 3: "STALE"}
SHOWN_KINDS = ("joints", "point", "features", "pose", "twist", "velocities")
OUTCOMES = ("on the way", "reached", "missed", "replaced", "given up", "supervisor", "stopped", "deactivated")
RED, YELLOW, GREEN, BOLD, PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[32m", "\x1b[1m", "\x1b[0m"


@dataclass
class Part:
    """One status of /diagnostics: `level` 0 to 3, its text, and {key: value} as texts."""

    level: int
    text: str
    values: Mapping[str, str]


@dataclass
class Limits:
    """Limits of a joint from the URDF: `lower`, `upper` [rad or m], infinite for none, `velocity` [rad/s or m/s]."""

    lower: float
    upper: float
    velocity: float


def limits_of(tree: urdf.Tree) -> dict[str, Limits]:
    """Return {joint: its limits} of the movable joints of a URDF."""
    found = {}
    for joint in tree.joints:
        if joint.movable:
            lower, upper = joint.limit.get("lower", math.nan), joint.limit.get("upper", math.nan)
            turning = joint.kind == "continuous"
            found[joint.name] = Limits(
                -math.inf if turning else lower, math.inf if turning else upper, joint.limit.get("velocity", math.nan)
            )
    return found


@dataclass
class Board:
    """The newest of everything that is shown; what has not come is empty or None.

    status {field: value} of ~/status, progress of ~/target_progress; ages [s] of the newest status, joint state and
    guard status, infinite before the first; rate [Hz] and missed: of the last seconds of ~/status.
    """

    node: str
    status: dict[str, float] = field(default_factory=dict)
    progress: dict[str, float] = field(default_factory=dict)
    supervisor: str = ""
    diagnostics: dict[str, Part] = field(default_factory=dict)
    positions: dict[str, float] = field(default_factory=dict)
    velocities: dict[str, float] = field(default_factory=dict)
    limits: dict[str, Limits] = field(default_factory=dict)
    guard: dict[str, str] = field(default_factory=dict)
    messages: deque[str] = field(default_factory=lambda: deque(maxlen=SHOWN_MESSAGES))
    events: deque[str] = field(default_factory=lambda: deque(maxlen=SHOWN_MESSAGES))
    rate: float = math.nan
    missed: float = math.nan
    age: float = math.inf
    state_age: float = math.inf
    guard_age: float = math.inf

    def value(self, part: str, key: str) -> str:
        """Return a value of the diagnostics; '-' where it has not come."""
        found = self.diagnostics.get(part)
        return found.values.get(key, "-") if found else "-"


class RateWindow:
    """Ticks per second and missed ticks over the last `length` [s] of stamps."""

    def __init__(self, length: float = 2.0):
        self._length = length
        self._rows: deque[tuple[float, float, float]] = deque()

    def add(self, stamp: float, tick: float, missed: float) -> None:
        """Take in a status; stamps that go back, or ticks that do, begin anew. What is not finite is left out."""
        if not (math.isfinite(stamp) and math.isfinite(tick) and math.isfinite(missed)):
            return
        if self._rows and (stamp < self._rows[-1][0] or tick < self._rows[-1][1]):
            self._rows.clear()
        self._rows.append((stamp, tick, missed))
        while self._rows[0][0] < stamp - self._length:
            self._rows.popleft()

    @property
    def rate(self) -> float:
        """Return the rate [Hz] of answered states; NaN before the second status."""
        span = self._rows[-1][0] - self._rows[0][0] if self._rows else 0.0
        return (self._rows[-1][1] - self._rows[0][1]) / span if span > 0.0 else math.nan

    @property
    def missed(self) -> float:
        """Return how many ticks were missed."""
        return self._rows[-1][2] - self._rows[0][2] if self._rows else math.nan


def bar(share: float, width: int = BAR_LENGTH) -> str:
    """Return a bar with a mark at `share`, 0 to 1, of its width; outside of it the mark is an arrow at the end.

    Without a share (NaN) it says that the limits are not known.
    """
    if not math.isfinite(share):
        return f"{UNKNOWN_LIMITS:{width + 2}}"
    cells, inside = ["."] * width, 0.0 <= share <= 1.0
    cells[min(width - 1, max(0, round(share * (width - 1))))] = "#" if inside else "<" if share < 0.0 else ">"
    return f"[{''.join(cells)}]"


def frame(board: Board, width: int = 100, height: int = 1000, *, color: bool = False) -> list[str]:
    """Return the lines of a frame, none longer than `width` characters on the screen, at most `height` of them."""
    lines = [*_head(board), *_guard(board), "", *_joints(board), "", *_problems(board), *_news(board)]
    shown = [_clipped(line, width) for line in lines][: max(1, height)]
    return [_painted(line, mark) if color else line for line, mark in shown]


Line = tuple[str, str]  # the text and the color of the whole line, '' for none


def _clipped(line: Line | str, width: int) -> Line:
    text, mark = (line, "") if isinstance(line, str) else line
    text = printable(text, kept="")
    return (text if len(text) <= width else text[: max(0, width - 1)] + "~"), mark


def _painted(text: str, mark: str) -> str:
    return f"{mark}{text}{PLAIN}" if mark else text


def _number(value: float, pattern: str = ".1f") -> str:
    return format(value, pattern) if math.isfinite(value) else "-"


def _diagnosed(board: Board, part: str, key: str, pattern: str) -> str:
    """Return a value of the diagnostics, rounded where it is a number."""
    told = board.value(part, key)
    try:
        return _number(float(told), pattern)
    except ValueError:
        return told


def _head(board: Board) -> Iterator[Line | str]:
    status, progress = board.status, board.progress
    state = board.supervisor or "no supervisor state has come"
    silent = board.age > 1.0
    yield f"{board.node}   {state}", BOLD + (RED if silent or "FAULT" in state or "E_STOP" in state else "")
    if not status:
        yield "no status has come", RED
        return
    if silent:
        yield f"no status for {board.age:.1f} s", RED
    bound = status.get("nis_bound", math.nan)
    ratio = status.get("nis", math.nan) / bound if bound > 0.0 else math.nan
    latency, compute = (_diagnosed(board, "control loop", f"{part} p99 [ms]", ".2f") for part in ("latency", "compute"))
    yield (
        f"rate {_number(board.rate)} Hz   missed {_number(status['missed'], '.0f')} ({_number(board.missed, '.0f')} "
        f"lately)   late {_number(status['late'], '.2f')} periods   stamp {_number(status['stamp'], '.3f')} s"
    )
    yield (
        f"state to command {_number(status['latency_ms'], '.2f')} ms, p99 {latency}   "
        f"compute {_number(status['compute_ms'], '.2f')} ms, p99 {compute}"
    )
    trust = progress.get("trust", math.nan)
    told = _number(trust, ".2f") if math.isfinite(trust) else _diagnosed(board, "model", "consistency [0..1]", ".2f")
    yield (
        f"trust {told}   NIS over its bound {_number(ratio, '.2f')}   within it "
        f"{_diagnosed(board, 'model', 'NIS within its 95 % bound', '.3f')}   "
        f"delay {_diagnosed(board, 'model', 'delay in use [ticks]', '.2f')} ticks, "
        f"estimated {_diagnosed(board, 'model', 'delay estimated [ticks]', '.2f')}"
    )
    yield _target(status, progress)


def _target(status: Mapping[str, float], progress: Mapping[str, float]) -> str:
    kind = status.get("target_kind", math.nan)
    if not (math.isfinite(kind) and 0 <= int(kind) < len(SHOWN_KINDS)):
        return f"target none   rejected inputs {_number(status.get('rejected', math.nan), '.0f')}"
    text = f"target {SHOWN_KINDS[int(kind)]}"
    outcome = progress.get("outcome", math.nan)
    if math.isfinite(outcome) and 0 <= int(outcome) < len(OUTCOMES):
        text += f", {OUTCOMES[int(outcome)]}"
    for key, unit, factor in (("distance", "mm", 1e3), ("angle", "deg", 57.2958), ("time_left", "s left", 1.0)):
        if math.isfinite(value := progress.get(key, math.nan)):
            text += f", {factor * value:.1f} {unit}"
    return (
        f"{text}   accepted {_number(status['targets'], '.0f')}   rejected inputs {_number(status['rejected'], '.0f')}"
    )


def _guard(board: Board) -> Iterator[Line | str]:
    if not board.guard:
        yield "guard: none is heard"
        return
    told = "   ".join(f"{key} {value}" for key, value in board.guard.items())
    silent = board.guard_age > 1.0
    calm = board.guard.get("state", "").lower() == "forwarding" and not silent
    yield f"guard: {told}" + (f"   silent for {board.guard_age:.1f} s" if silent else ""), "" if calm else YELLOW


def _joints(board: Board) -> Iterator[Line | str]:
    if not board.positions:
        yield "no joint state has come"
        return
    name_width = max(5, *(len(name) for name in board.positions))
    old = f"   the newest state is {board.state_age:.1f} s old" if board.state_age > 1.0 else ""
    place = f"{'between its stops':{BAR_LENGTH + 2}}"
    yield f"{'joint':{name_width}}  {'position':>9} {place}  {'velocity':>9} of its limit{old}"
    for name, position in board.positions.items():
        limits = board.limits.get(name, Limits(-math.inf, math.inf, math.inf))
        span = limits.upper - limits.lower
        share = (position - limits.lower) / span if 0.0 < span < math.inf else math.nan
        velocity = board.velocities.get(name, math.nan)
        speed = velocity / limits.velocity if 0.0 < limits.velocity < math.inf else math.nan
        near = not 1.0 - NEAR_LIMIT <= 2.0 * share <= 1.0 + NEAR_LIMIT if math.isfinite(share) else False
        over = abs(speed) > 1.0 or not 0.0 <= share <= 1.0 and math.isfinite(share)
        yield (
            f"{name:{name_width}}  {_number(position, '9.3f'):>9} {bar(share)}  {_number(velocity, '9.3f'):>9} "
            f"{bar(0.5 + 0.5 * speed)}",
            RED if over else YELLOW if near or abs(speed) > NEAR_LIMIT else "",
        )


def _problems(board: Board) -> Iterator[Line | str]:
    wrong = {name: part for name, part in board.diagnostics.items() if part.level}
    if board.diagnostics and not wrong:
        yield f"diagnostics: {len(board.diagnostics)} parts, all ok", GREEN
    for name, part in wrong.items():
        yield f"{LEVEL_NAMES.get(part.level, '?')} {name}: {part.text}", RED if part.level >= 2 else YELLOW


def _news(board: Board) -> Iterator[Line | str]:
    for title, texts in (("events", board.events), ("messages", board.messages)):
        if texts:
            yield f"{title}, the newest last:"
            yield from (f"  {text}" for text in texts)
