"""Settings of the distillation of plans into a policy, and of the policy's use."""

from __future__ import annotations

import dataclasses

from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class DistillationSettings(Section):
    """Student, imitation method, fit, and the conditions under which a policy acts."""

    method: str = setting(
        "clone",
        "imitation method: clone: the teacher acts; dagger: teacher and student are mixed; plato: a "
        "teacher that is KL-regularised towards the student acts, the unregularised one labels; gps, "
        "mdgps: the KL-regularised teacher acts and labels, with a weight (gps) or a bounded KL step "
        "(mdgps)",
        choices=("clone", "dagger", "plato", "gps", "mdgps"),
    )
    kind: str = setting(
        "point",
        "kind of target that the student learns; samples with other targets are left out",
        choices=("joints", "point", "features"),
    )
    window: float = setting(
        0.04, "time over which accelerations and commands are averaged", unit="s", low=1e-3, high=1.0
    )
    inertia_scale: float = setting(0.8, "fraction of the identified inertia that the student uses", low=0.05, high=1.0)
    goal_units: int = setting(32, "hidden units in each of the two layers of the goal network", low=1, high=1024)
    gain_units: int = setting(16, "hidden units of the gain network", low=1, high=1024)
    velocity_fraction: float = setting(
        0.5, "fraction of the joint velocity limits that the student uses at most", low=0.01, high=1.0
    )
    acceleration_fraction: float = setting(
        1.0, "fraction of the joint acceleration limits that the student uses at most", low=0.01, high=10.0
    )
    tasks: int = setting(1, "number of tasks that share the student", low=1, high=1000)
    teachers: int = setting(
        1,
        "number of teachers that label the same states of one robot; the student learns mean and "
        "covariance of their labels",
        low=1,
        high=100,
    )
    task: int = setting(0, "number of this robot's task", low=0, high=999, dynamic=True)
    capacity: int = setting(20000, "number of samples that are kept", low=100, high=10_000_000)
    fit_samples: int = setting(8000, "largest number of samples that a fit uses", low=100)
    iterations: int = setting(150, "largest number of L-BFGS iterations of a fit", low=1)
    patience: int = setting(30, "iterations without a lower held-out loss after which a fit ends", low=1)
    decay: float = setting(1e-3, "weight of |theta|^2 in the loss (weight decay)", low=0.0)
    members: int = setting(
        2, "number of further goal networks, whose disagreement shows targets that were not learned", low=0, high=16
    )
    region_margin: float = setting(
        1.5,
        "factor by which states may lie outside the region of the training data before the policy stops acting",
        low=1.0,
    )
    seed: int = setting(0, "seed of the networks, of the memory and of mixing", low=0)
    alpha_start: float = setting(1.0, "dagger: share of the teacher in the command at the start", low=0.0, high=1.0)
    alpha_end: float = setting(0.0, "dagger: share of the teacher in the command in the long run", low=0.0, high=1.0)
    alpha_versions: int = setting(
        4, "dagger: number of policies after which the share is the one in the long run", low=1
    )
    kl_weight: float = setting(
        1.0, "weight lambda of the KL divergence to the student: of plato, and of gps at the start", low=0.0
    )
    kl_step: float = setting(
        0.01, "gps: KL divergence to which lambda is adapted; mdgps: largest KL divergence", low=1e-9
    )
    safe_disagreement: float = setting(
        0.6,
        "distance between student and teacher, weighted by the teacher's precision, above which the "
        "teacher alone acts while teaching",
        unit="fraction of the command range",
        low=0.0,
    )
    file: str = setting("", "policy file for control.controller: policy; empty: wait for a policy from the topic")
    promote: str = setting(
        "service",
        "when a policy may act: service: when the service is called; rule: also by itself, after "
        "promote_after in shadow below promote_disagreement",
        choices=("service", "rule"),
    )
    promote_after: float = setting(5.0, "time in shadow before a policy may act", unit="s", low=0.0)
    promote_disagreement: float = setting(
        0.5,
        "largest mean disagreement in shadow with which a policy may act",
        unit="fraction of the command range",
        low=0.0,
    )
    fall_back_disagreement: float = setting(
        1.2,
        "mean disagreement over the last 0.1 s above which the planner takes over",
        unit="fraction of the command range",
        low=0.0,
    )
    teacher_rate: float = setting(
        0.0,
        "rate of the planner while a policy acts, at most control.rate; 0: control.rate",
        unit="Hz",
        low=0.0,
        high=1e4,
    )
    watch: bool = setting(
        True,
        "keep planning after each command of the policy, so that disagreement is measured and the planner"
        " can take over at once; false: the planner needs time to converge when it takes over",
    )
    blend: float = setting(
        0.1, "time constant of the transition of the command when another controller acts", unit="s", low=0.0, high=10.0
    )
