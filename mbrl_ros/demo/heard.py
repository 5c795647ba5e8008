"""What the session of a run hears and the nodes do not write down."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..messages.drawn_plan import DrawnPlan


@dataclass
class Heard:
    """What is kept of a run beside the nodes' tables.

    changes: when the streams of velocities began or changed, JogStream.sent; plans [(stamp of the state [s], plan)].
    """

    changes: list[tuple[float, int]] = field(default_factory=list)
    plans: list[tuple[float, DrawnPlan]] = field(default_factory=list)
