"""Settings of the frames in which targets are given."""

from __future__ import annotations

import dataclasses

from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class FrameSettings(Section):
    """How targets in frames that move, and in those of tf2, are transformed into the base frame."""

    transforms: bool = setting(
        True,
        "whether to read /tf and /tf_static, where tf2_msgs is installed; otherwise targets stand in frames of the "
        "robot alone",
    )
    oldest: float = setting(
        2.0, "a target stamped 0 is refused if the newest transform of its frame is older than this", unit="s", low=0.0
    )
    wait: float = setting(
        0.2,
        "how long a target waits for transforms and states with its stamp, which come a little later; not in lockstep",
        unit="s",
        low=0.0,
        high=5.0,
    )
    memory: float = setting(5.0, "for how long transforms and states are kept", unit="s", low=0.1, high=60.0)
