"""Distilling plans into a policy, and letting the policy act."""

from __future__ import annotations

import dataclasses

from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class DistillationSettings(Section):
    """Distilling plans into a policy, and letting it act."""

    method: str = setting(
        "clone",
        "who acts while teaching, and what is learned: clone: the teacher acts; dagger: teacher "
        "and student mixed; plato: the teacher drawn to the student acts, the plain one "
        "labels; gps, mdgps: the drawn one does both, by a fixed weight or a KL step",
        choices=("clone", "dagger", "plato", "gps", "mdgps"),
    )
    kind: str = setting(
        "point",
        "targets the student is for; a teacher's samples on its way to other ones are left out",
        choices=("joints", "point", "features"),
    )
    window: float = setting(0.04, "over which accelerations and commands are averaged", unit="s", low=1e-3, high=1.0)
    inertia_scale: float = setting(0.8, "fraction of the identified inertia the student uses", low=0.05, high=1.0)
    goal_units: int = setting(32, "hidden units in each of the goal network's two layers", low=1, high=1024)
    gain_units: int = setting(16, "hidden units of the gain network", low=1, high=1024)
    velocity_fraction: float = setting(
        0.5, "of the joint velocity limit the student never plans to exceed", low=0.01, high=1.0
    )
    acceleration_fraction: float = setting(1.0, "of the joint acceleration limit", low=0.01, high=10.0)
    tasks: int = setting(1, "tasks that share the student", low=1, high=1000)
    teachers: int = setting(
        1,
        "teachers who answer the same states of one robot; the student learns the mean and covariance of what they say",
        low=1,
        high=100,
    )
    task: int = setting(0, "number of this robot's task", low=0, high=999, dynamic=True)
    capacity: int = setting(20000, "samples remembered", low=100, high=10_000_000)
    fit_samples: int = setting(8000, "most samples a fit uses", low=100)
    iterations: int = setting(150, "most L-BFGS iterations of a fit", low=1)
    patience: int = setting(30, "iterations without a better held-out loss that end a fit", low=1)
    decay: float = setting(1e-3, "weight of |theta|^2 in the loss", low=0.0)
    members: int = setting(2, "further goal networks whose disagreement shows unknown targets", low=0, high=16)
    region_margin: float = setting(1.5, "how far outside the taught region the policy may still act", low=1.0)
    seed: int = setting(0, "seed of networks, memory and mixing", low=0)
    alpha_start: float = setting(1.0, "dagger: the teacher's share of the command at first", low=0.0, high=1.0)
    alpha_end: float = setting(0.0, "... and in the long run", low=0.0, high=1.0)
    alpha_versions: int = setting(4, "... after so many policies", low=1)
    kl_weight: float = setting(1.0, "plato: weight lambda of the KL divergence to the student; gps: at first", low=0.0)
    kl_step: float = setting(0.01, "gps: KL divergence lambda adapts to; mdgps: the largest", low=1e-9)
    safe_disagreement: float = setting(
        0.6,
        "while teaching, the teacher alone acts above this distance of student from "
        "teacher, weighed by the teacher's precision",
        unit="fraction of the command range",
        low=0.0,
    )
    file: str = setting("", "policy to act by (control.controller: policy); empty: none until one arrives")
    promote: str = setting(
        "service",
        "when a policy may act: service: when asked to; rule: also by itself, after "
        "promote_after seconds in shadow below promote_disagreement",
        choices=("service", "rule"),
    )
    promote_after: float = setting(5.0, "seconds in shadow before a policy may act", unit="s", low=0.0)
    promote_disagreement: float = setting(
        0.5,
        "largest mean disagreement in shadow of a policy that may act",
        unit="fraction of the command range",
        low=0.0,
    )
    fall_back_disagreement: float = setting(
        1.2,
        "mean disagreement over the last 0.1 s at which the planner takes over",
        unit="fraction of the command range",
        low=0.0,
    )
    teacher_rate: float = setting(
        0.0, "rate of the planner beside a policy, at most control.rate; 0: that", unit="Hz", low=0.0, high=1e4
    )
    watch: bool = setting(
        True,
        "let the planner plan on, after each command of the policy: it notices disagreement and "
        "can take over at once; without it, it must first settle",
    )
    blend: float = setting(
        0.1, "time constant with which the command goes over when another acts", unit="s", low=0.0, high=10.0
    )
