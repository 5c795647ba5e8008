"""The text panel of the page as HTML: verdict, state, times, trust, joints against limits, image points, events.

Texts come from topics and files of others and are escaped.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from ..console.colors import ACCENT, INK, WARN
from ..types import Array
from .health import health_text
from .snapshot import Snapshot
from .terminal import NEAR_LIMIT, Limits

LANE_WIDTH, LANE_HEIGHT = 78, 7  # [px] of a joint's bar
IMAGE_WIDTH, IMAGE_HEIGHT = 200, 150  # [px] of the image plane, which is 2 half widths wide and 1.5 high
MARK_INSIDE, MARK_NEAR, MARK_OUTSIDE = "#1a80e6", "#e0a000", "#d02020"


def text_of(snapshot: Snapshot, limits: Mapping[str, Limits] | None = None) -> str:
    """Return the whole panel; `limits` {joint: its limits}, of those that are known."""
    table = "".join(
        f"<tr><td>{html.escape(name)}</td><td><b>{html.escape(value)}</b></td></tr>" for name, value in _rows(snapshot)
    )
    return (
        f"<div style='font: 13px sans-serif; padding: 0 0.8em'>{_verdict(snapshot.verdict)}<table>{table}</table>"
        f"{health_text(snapshot.health)}"
        f"{_joints(snapshot, limits or {})}{_image(snapshot.points, snapshot.wanted_points)}"
        f"{_list('events', snapshot.events)}{_list('messages', snapshot.messages)}</div>"
    )


def _verdict(line: str) -> str:
    """Return the verdict's line, or that the run goes on, in its color; empty without one."""
    if not line:
        return ""
    color = ACCENT if line.startswith("PASS") else WARN if line.startswith("FAIL") else INK
    style = f"background: {color}; color: #fff; font-weight: 600; padding: 0.3em 0.6em; margin-bottom: 0.4em"
    return f"<div style='{style}; overflow-wrap: anywhere'>{html.escape(line)}</div>"


def _rows(shot: Snapshot) -> Iterator[tuple[str, str]]:
    status = shot.status
    if shot.supervisor or status or not shot.health:
        yield "state", shot.supervisor or "not known yet"
    yield "stamp", f"{shot.stamp:.2f} s"
    if math.isfinite(shot.trust):
        yield "trust in the model", f"{shot.trust:.2f}"
    if not status:
        return
    yield "tick", f"{status.get('tick', math.nan):.0f}, {status.get('missed', math.nan):.0f} missed"
    yield "between two commands", f"{status.get('period_ms', math.nan):.1f} ms"
    latency = shot.curves.get("latency", np.empty(0))
    known = latency[np.isfinite(latency)]
    lately = f", p50 {np.percentile(known, 50):.2f}, p99 {np.percentile(known, 99):.2f}" if known.size else ""
    yield "from state to command", f"{status.get('latency_ms', math.nan):.2f} ms{lately}"
    yield "inputs rejected", f"{status.get('rejected', math.nan):.0f}"


def _joints(shot: Snapshot, limits: Mapping[str, Limits]) -> str:
    """Return a row for each joint with limits: its position between its stops, its velocity against its limit."""
    rows = []
    for name, limit in limits.items():
        position, speed = shot.positions.get(name, math.nan), shot.speeds.get(name, math.nan)
        span = limit.upper - limit.lower
        place = (position - limit.lower) / span if 0.0 < span < math.inf else math.nan
        share = 0.5 + 0.5 * speed / limit.velocity if 0.0 < limit.velocity < math.inf else math.nan
        if math.isfinite(position):
            rows.append(f"<tr><td>{html.escape(name)}</td><td>{_bar(place)}</td><td>{_bar(share)}</td></tr>")
    if not rows:
        return ""
    head = "<tr><td></td><td>between its stops</td><td>velocity</td></tr>"
    return f"<table style='font-size: 11px; margin-top: 0.6em'>{head}{''.join(rows)}</table>"


def _bar(share: float) -> str:
    """Return a bar with a mark at `share`, 0 to 1, of its width; empty without a share (NaN)."""
    if not math.isfinite(share):
        return ""
    off = abs(2.0 * share - 1.0)
    color = MARK_OUTSIDE if off > 1.0 else MARK_NEAR if off > NEAR_LIMIT else MARK_INSIDE
    at = min(max(share, 0.0), 1.0) * (LANE_WIDTH - LANE_HEIGHT)
    return (
        f"<div style='position: relative; width: {LANE_WIDTH}px; height: {LANE_HEIGHT}px; background: #8884'>"
        f"<div style='position: absolute; left: {at:.0f}px; width: {LANE_HEIGHT}px; height: {LANE_HEIGHT}px; "
        f"background: {color}'></div></div>"
    )


def _image(points: Array | None, wanted: Array | None) -> str:
    """Return the image plane with its points (k, 2) and the target's, in half widths of the image."""
    if points is None and wanted is None:
        return ""
    marks = []
    for x, y in _inside(points):
        marks.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4' fill='{MARK_INSIDE}'/>")
    for x, y in _inside(wanted):
        cross = f"M{x - 5:.1f} {y:.1f}h10M{x:.1f} {y - 5:.1f}v10"
        marks.append(f"<path d='{cross}' stroke='{MARK_OUTSIDE}' stroke-width='2' fill='none'/>")
    return (
        "<div style='margin-top: 0.6em'>image: points (dots), target (crosses)</div>"
        f"<svg width='{IMAGE_WIDTH}' height='{IMAGE_HEIGHT}' style='background: #8882'>{''.join(marks)}</svg>"
    )


def _inside(points: Array | None) -> Iterator[tuple[float, float]]:
    """Yield the points (k, 2) that can be drawn, in pixels."""
    for u, v in np.empty((0, 2)) if points is None else points:
        if math.isfinite(u) and math.isfinite(v):
            half = 0.5 * IMAGE_WIDTH
            yield half * (1.0 + min(max(u, -1.0), 1.0)), 0.5 * IMAGE_HEIGHT + half * min(max(v, -0.75), 0.75)


def _list(title: str, texts: Iterable[str]) -> str:
    said = "".join(f"<li>{html.escape(text)}</li>" for text in reversed(tuple(texts)))
    return (
        f"<div style='margin-top: 0.6em'>{title}</div><ul style='padding-left: 1.2em; margin: 0'>{said}</ul>"
        if said
        else ""
    )
