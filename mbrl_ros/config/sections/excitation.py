"""Settings of the excitation: motion on purpose that makes certain what a controller needs to know."""

from __future__ import annotations

import dataclasses

from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class ExcitationSettings(Section):
    """When a controller moves the arm a little in order to learn, how much, and until when."""

    when: str = setting(
        "never",
        "when the arm may move a little in order to learn: never; target: while it has a target; always: also where it "
        "was not asked to go anywhere (controller mpc)",
        choices=("never", "target", "always"),
    )
    gain: float = setting(
        0.1,
        "standard deviation of every joint's input gain by the data alone, over the gain, below which it counts as "
        "certain (velocity and position interface: twice that)",
        low=0.005,
        high=1.0,
    )
    delay: float = setting(
        0.003,
        "standard deviation of the time at which a command acts, below which the delay counts as certain",
        unit="s",
        low=1e-4,
        high=0.1,
    )
    deviation: float = setting(
        0.003,
        "largest deviation of the end effector that the excitation of gain and delay is planned for, and beyond which "
        "it stops",
        unit="m",
        low=1e-5,
        high=0.05,
    )
    frequency: float = setting(
        10.0,
        "lowest frequency of that motion, of position commands 0.4 times it; the highest is 2.5 times the lowest, at "
        "most an eighth of the control rate",
        unit="Hz",
        low=0.1,
        high=200.0,
    )
    longest: float = setting(
        5.0,
        "time after which it gives up, until something has changed",
        unit="s",
        low=0.1,
        high=600.0,
    )
