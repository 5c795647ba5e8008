"""Settings: one default per value, with its unit, bounds and description. The only mechanism there is.

A section is a frozen dataclass derived from `Section` whose fields are made by `setting(...)`. The sections of
the core stand in this file; a plug-in (a cost, a prior) declares its own in its own file, and the registry
(`plugins.py`) joins them under the plug-in's name. YAML, ROS parameters and keyword arguments only override.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping
from typing import Any

from .exceptions import ConfigurationError, nearest


@dataclasses.dataclass(frozen=True)
class Info:
    """What is known of one setting. `per_joint` tuples have one entry for all joints or one per joint."""

    doc: str
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    choices: tuple = ()
    dynamic: bool = False
    per_joint: bool = False


def setting(default: Any, doc: str, **info: Any) -> Any:
    """A dataclass field with its default and its `Info`. `dynamic`: may change while the controller runs."""
    return dataclasses.field(default=default, metadata={"info": Info(doc, **info)})


@dataclasses.dataclass(frozen=True)
class Section:
    """Base of every group of settings: coerces and checks its fields, and rejects what it does not know."""

    def __post_init__(self) -> None:
        kinds = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = _coerced(field.name, getattr(self, field.name), kinds[field.name])
            _check(field.name, value, field.metadata["info"])
            object.__setattr__(self, field.name, value)
        self.validate()

    def validate(self) -> None:
        """Checks that concern more than one field; raise ConfigurationError."""

    def replace(self, **changes: Any):
        return type(self).from_mapping({**self.to_mapping(), **changes})

    def to_mapping(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], *, prefix: str = "", source: str = ""):
        """The section with the values of `mapping` over its defaults; errors name `source` and the full key."""
        known = [field.name for field in dataclasses.fields(cls)]
        for key in mapping:
            if key not in known:
                raise ConfigurationError(
                    f"unknown setting '{prefix}{key}'; did you mean '{prefix}{nearest(key, known)}'?",
                    key=prefix + key, value=mapping[key], source=source)
        try:
            return cls(**mapping)
        except ConfigurationError as error:
            raise ConfigurationError(f"'{prefix}{error.key}' {error}", key=prefix + error.key,
                                     value=error.value, source=source) from None

    @classmethod
    def infos(cls) -> dict[str, tuple[Any, Info]]:
        """{name: (default, Info)}."""
        return {field.name: (field.default, field.metadata["info"]) for field in dataclasses.fields(cls)}


def _coerced(name: str, value: Any, kind: Any) -> Any:
    wrong = ConfigurationError(f"must be {_spelled(kind)}, got {value!r}", key=name, value=value)
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
            value = (value,)
        return tuple(_coerced(name, entry, item) for entry in value)
    if kind is bool:
        if not isinstance(value, bool):
            raise wrong
        return value
    if kind is str:
        if not isinstance(value, str):
            raise wrong
        return value
    if isinstance(value, (bool, str)):
        raise wrong
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise wrong from None
    if math.isnan(number):
        raise wrong
    if kind is int:
        if number != int(number):
            raise wrong
        return int(number)
    return number


def _spelled(kind: Any) -> str:
    if typing.get_origin(kind) is tuple:
        return f"a list, each entry {_spelled(typing.get_args(kind)[0])}"
    return {bool: "true or false", str: "text", int: "a whole number", float: "a number"}[kind]


def _check(name: str, value: Any, info: Info) -> None:
    for entry in value if isinstance(value, tuple) else (value,):
        if info.choices and entry not in info.choices:
            hint = nearest(str(entry), [str(choice) for choice in info.choices])
            raise ConfigurationError(f"must be one of {list(info.choices)}, got {entry!r}; did you mean '{hint}'?",
                                     key=name, value=value)
        if isinstance(entry, (int, float)) and not isinstance(entry, bool) and not info.low <= entry <= info.high:
            raise ConfigurationError(f"must lie in [{info.low:g}, {info.high:g}]"
                                     f"{' ' + info.unit if info.unit else ''}, got {entry:g}", key=name, value=value)


def per_joint(value: tuple[float, ...], n: int, key: str) -> "Any":
    """`value` as an array (n,): one entry for every joint or one each."""
    import numpy as np
    if len(value) not in (1, n):
        raise ConfigurationError(f"'{key}' must have 1 or {n} entries (one per joint), got {len(value)}",
                                 key=key, value=value)
    return np.broadcast_to(np.asarray(value, dtype=np.float64), (n,)).copy()


# --- the core's sections -------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class RobotSettings(Section):
    """Which robot, which of its joints, and how its limits are tightened."""

    description: str = setting("", "URDF file, or 'package-data:NAME' for a robot of example-robot-data; empty: "
                                   "take the robot_description parameter or topic")
    joints: tuple[str, ...] = setting((), "controlled joints in command order; empty: every movable joint of the URDF")
    tip: str = setting("", "link whose origin is the end effector; empty: the last link of the chain")
    tip_offset: tuple[float, ...] = setting((0.0, 0.0, 0.0), "end-effector point in the tip link's frame", unit="m")
    interface: str = setting("effort", "what a command means", choices=("effort", "velocity", "position"))
    position_margin: tuple[float, ...] = setting((0.02,), "distance kept from the joint stops", unit="rad or m", low=0.0,
                                                 per_joint=True)
    velocity_scale: tuple[float, ...] = setting((1.0,), "fraction of the URDF's velocity limits in use", low=0.01, high=1.0,
                                                per_joint=True)
    effort_scale: tuple[float, ...] = setting((1.0,), "fraction of the URDF's effort limits in use", low=0.01, high=1.0,
                                              per_joint=True)
    acceleration_limit: tuple[float, ...] = setting(
        (7.5,), "joint acceleration limit (the URDF has none)", unit="rad/s^2 or m/s^2", low=1e-3, per_joint=True)
    jerk_limit: tuple[float, ...] = setting(
        (100.0,), "joint jerk limit of references", unit="rad/s^3 or m/s^3", low=1e-2, per_joint=True)
    rotor_inertia: tuple[float, ...] = setting(
        (), "inertia of the rotors, reflected through the gears (armature), a lower bound that is sure: a URDF does not "
            "hold it; empty: none", unit="kg m^2 or kg", low=0.0, per_joint=True)


@dataclasses.dataclass(frozen=True)
class ControlSettings(Section):
    """The loop around the controller."""

    rate: float = setting(200.0, "control rate", unit="Hz", low=1.0, high=2000.0)
    controller: str = setting("mpc", "what computes commands: mpc; pid: the baseline; teach: mpc, whose plans a policy "
                                   "is distilled from; policy: a distilled policy, with mpc beside it",
                            choices=("mpc", "pid", "teach", "policy"))
    delay: float = setting(1.0, "ticks from a measurement until the command computed from it acts (fractions allowed)",
                           unit="ticks", low=0.0, high=20.0)
    missing_velocity: str = setting("estimate", "JointState without velocity: differentiate positions or refuse",
                                    choices=("estimate", "refuse"))
    state_timeout: float = setting(0.05, "age of the newest joint state after which the safe command is sent",
                                   unit="s", low=1e-3, high=10.0)
    seed: int = setting(0, "seed of the exploration noise", low=0)
    exploration_start: float = setting(0.03, "standard deviation of the exploration noise at the start",
                                       unit="fraction of Robot.command_scale", low=0.0, high=0.5)
    exploration_end: float = setting(0.002, "... and in the long run", unit="fraction of Robot.command_scale",
                                     low=0.0, high=0.5, dynamic=True)
    exploration_noise: float = setting(3.0, "largest standard deviation of the velocity change that exploration makes in one "
                                            "tick, over dynamics.noise (effort interface)", low=0.0)
    full_acceleration: float = setting(600.0, "a command that accelerates its joint by less does not count as large, whatever the "
                                              "effort limit says (effort interface)", unit="rad/s^2 or m/s^2", low=1e-3)
    sure_change: float = setting(0.6, "factor on the weight of the command's change once it is known when commands act: a known "
                                      "delay allows a faster loop (effort interface)", low=0.01, high=1.0)
    exploration_decay: float = setting(0.7, "time constant from the one to the other", unit="s", low=1e-3)
    stamp_clock: str = setting("auto", "whose clock stamps the joint states: ros: this node's; own: the robot's own, "
                                       "age counts from the fastest message; auto: ros if the first stamp is within 10 s",
                               choices=("auto", "ros", "own"))
    velocity_cutoff: float = setting(30.0, "low-pass of velocities estimated from positions", unit="Hz", low=0.1)
    feature_latency: float = setting(0.05, "age of features that come without a stamp (features_vector), and of every frame in "
                                           "lockstep", unit="s", low=0.0, high=5.0)


@dataclasses.dataclass(frozen=True)
class ReferenceSettings(Section):
    """How the reference moves to a new target: never faster than these fractions of the robot's limits."""

    velocity_fraction: float = setting(0.5, "of the joint velocity limit", low=0.01, high=1.0)
    acceleration_fraction: float = setting(0.5, "of the joint acceleration limit", low=0.01, high=1.0)
    jerk_fraction: float = setting(1.0, "of the joint jerk limit", low=0.01, high=1.0)
    feature_speed: float = setting(0.4, "speed of a feature's reference", unit="image widths/s", low=1e-3)
    feature_acceleration: float = setting(1.0, "acceleration of a feature's reference", unit="image widths/s^2", low=1e-3)
    posture: float = setting(5e-5, "weight of the joint reference while the target is a point or features, over its "
                                   "weight for joint targets", low=0.0, high=1.0)
    home: tuple[float, ...] = setting((), "joint positions from which the pose of an end-effector target is sought, which "
                                          "makes it a function of the target alone; empty: from the last target's pose",
                                      unit="rad or m")
    look_amplitude: float = setting(0.04, "motion of every joint while the image Jacobian is unknown",
                                    unit="rad or m", low=0.0, high=0.5)
    look_frequency: float = setting(0.8, "mean frequency of that motion", unit="Hz", low=0.01, high=10.0)
    reach_tolerance: float = setting(0.001, "an end-effector target further than this from every pose is refused",
                                     unit="m", low=1e-6)


@dataclasses.dataclass(frozen=True)
class DynamicsSettings(Section):
    """Online local dynamics."""

    estimator: str = setting("refit", "refit: the full posterior; output_error: correct only the prior's offset; "
                                      "frozen: stop learning after freeze_after",
                             choices=("refit", "output_error", "frozen"))
    prior: str = setting("integrator", "what is believed before any data: a file of mbrl_ros/dynamics/priors")
    forgetting: float = setting(0.985, "weight of the past evidence per tick; the prior is never forgotten",
                                low=0.5, high=1.0, dynamic=True)
    freeze_after: float = setting(4.0, "the frozen estimator stops learning at this time", unit="s", low=0.0)
    noise: float = setting(0.015, "believed standard deviation of one tick's velocity change",
                           unit="rad/s", low=1e-9)
    noise_count: float = setting(20.0, "observations the believed noise is worth", low=1.0)
    noise_forgetting: float = setting(0.98, "weight of past innovations per tick in the noise estimate",
                                      low=0.5, high=1.0)
    surprise_forgetting: float = setting(0.9, "forgetting while the innovations stay outside their bounds",
                                         low=0.1, high=1.0)
    prior_period: float = setting(0.05, "the prior's input gain is taken for the present pose once in this time", unit="s",
                                  low=0.0, high=60.0)
    gate: float = setting(6.0, "a measured velocity further than this from what the model predicts and from what the positions "
                               "say is refused; 0: none is", unit="standard deviations", low=0.0)


@dataclasses.dataclass(frozen=True)
class TrustSettings(Section):
    """From innovations to caution (dynamics/trust.py)."""

    smoothing: float = setting(0.02, "time constant over which innovations are averaged", unit="s", low=1e-3, high=10.0)
    doubt: float = setting(5.0, "mean NIS over its 95 % bound at which doubt begins", low=0.2)
    lost: float = setting(50.0, "... and at which the model counts as lost", low=1.0)
    prior_floor: float = setting(0.3, "smallest weight of the prior", low=1e-3, high=1.0)
    step_floor: float = setting(0.1, "smallest KL step over the normal one", low=1e-3, high=1.0)
    command_floor: float = setting(0.3, "smallest command limit over the normal one", low=0.0, high=1.0)
    hold_after: float = setting(0.2, "time at level 0 after which the hold controller takes over", unit="s", low=0.0)
    release_after: float = setting(0.5, "time above level 1/2 after which it hands back", unit="s", low=0.0)

    def validate(self) -> None:
        if self.lost <= self.doubt:
            raise ConfigurationError(f"must be above doubt ({self.doubt:g}), got {self.lost:g}", key="lost",
                                     value=self.lost)


@dataclasses.dataclass(frozen=True)
class DelaySettings(Section):
    """Estimation of the total delay (dynamics/delay_estimation.py)."""

    longest: int = setting(8, "longest delay considered", unit="ticks", low=1, high=30)
    memory: float = setting(2.0, "time constant of forgetting", unit="s", low=0.1, high=60.0)
    fewest: int = setting(50, "ticks behind an estimate, at least; the memory is at least twice as long", unit="ticks", low=20)
    confidence: float = setting(0.95, "posterior probability within a quarter tick above which an estimate counts",
                                low=0.5, high=0.9999)
    explained: float = setting(0.25, "share of the accelerations' variance (per joint, geometric mean) that commands must "
                                     "explain for an estimate to count", low=0.0, high=1.0)
    tolerance: float = setting(0.4, "difference to the delay in use that is reported and acted on", unit="ticks", low=0.1)
    interval: float = setting(0.1, "time between two estimates", unit="s", low=0.01)
    uncertainty: float = setting(0.01, "standard deviation of the time at which a command acts, before it is estimated and at "
                                       "most; what is learned from is weighted by it; 0: it is known exactly",
                                 unit="s", low=0.0, high=1.0)
    least_uncertainty: float = setting(0.0005, "... and at least, however sure the estimate is", unit="s", low=0.0, high=1.0)
    adapt: bool = setting(True, "compensate the estimated delay where it differs from control.delay; false: only report it")


@dataclasses.dataclass(frozen=True)
class FeatureSettings(Section):
    """Camera features in the state."""

    points: int = setting(0, "image points tracked; each adds two coordinates and their velocities to the state",
                          low=0, high=100)
    forgetting: float = setting(0.95, "weight of the past evidence per frame", low=0.1, high=1.0)
    noise: float = setting(0.004, "standard deviation of a coordinate", unit="image half-widths", low=1e-9)
    jacobian_spread: float = setting(2.0, "prior standard deviation of G's entries", unit="image half-widths/rad",
                                     low=1e-6)
    min_confidence: float = setting(0.5, "points below are not seen", low=0.0, high=1.0)
    baseline: float = setting(0.1, "time between the two frames of a pair", unit="s", low=0.0)
    timeout: float = setting(0.5, "frames older than this are not used", unit="s", low=0.0)
    jump: float = setting(0.03, "unexplained motion between two frames that restarts G", unit="image half-widths",
                          low=1e-6)
    known: float = setting(0.85, "explained share of the prior variance of G above which G counts as known",
                           low=0.0, high=1.0)


@dataclasses.dataclass(frozen=True)
class PlannerSettings(Section):
    """Box-limited iLQR."""

    horizon: int = setting(30, "stages H of a plan", unit="ticks", low=2, high=500)
    iterations: int = setting(2, "iLQR iterations per tick", low=1, high=1000, dynamic=True)
    backend: str = setting("auto", "compiled: the kernel or nothing; casadi: CasADi's virtual machine; numpy: the readable "
                                   "twin; auto: compiled where it can be, else casadi",
                           choices=("auto", "compiled", "casadi", "numpy"))
    line_search: int = setting(8, "step sizes alpha = 2^-i tried at once", low=1, high=16)
    tolerance: float = setting(1e-9, "a predicted decrease below this fraction of 1 + |cost| ends the iterations",
                               low=0.0, high=1.0, dynamic=True)
    time_budget: float = setting(0.0, "no iteration begins that would end later than this; 0: no limit", unit="s",
                                 low=0.0, high=10.0, dynamic=True)
    discount: float = setting(1.0, "factor of the cost from one stage to the next", low=0.01, high=1.0)
    second_order: bool = setting(False, "use the second derivatives of a nonlinear model (DDP)")
    state_limits: bool = setting(False, "keep planned positions and speeds inside their limits (relaxed barrier)")
    limit_penalty: float = setting(1000.0, "force up to which the rest of the cost is held back, per half range of the state",
                                   low=1e-3)
    limit_precision: float = setting(1e-3, "distance from a limit at which a plan may come to rest under that force",
                                     unit="half ranges", low=1e-9, high=0.1)
    kl_bound: float = setting(0.0, "largest KL divergence of a plan's controller from the last one's; 0: no bound",
                              unit="nats", low=0.0, dynamic=True)
    kl_steps: int = setting(10, "steps of dual descent per tick", low=1, high=100)
    temperature: float = setting(1.0, "of the maximum-entropy controller, whose covariance is temperature Q_uu^-1",
                                 low=1e-12)
    acting: str = setting("open_loop", "command from the plan: open_loop u_hat, feedback K (x - x_hat) + u_hat, or gaussian: "
                                       "drawn around the latter", choices=("open_loop", "feedback", "gaussian"), dynamic=True)


@dataclasses.dataclass(frozen=True)
class PidSettings(Section):
    """The baseline controller, for comparison (control.controller: pid)."""

    kp: float = setting(600.0, "position gain of the strongest joint", unit="N m/rad", low=0.0)
    ki: float = setting(1200.0, "integral gain of the strongest joint", unit="N m/(rad s)", low=0.0)
    kd: float = setting(18.0, "velocity gain of the strongest joint", unit="N m s/rad", low=0.0)
    mass_scale: float = setting(0.8, "the gravity model's masses over the URDF's", low=0.0, high=10.0)


@dataclasses.dataclass(frozen=True)
class SupervisorSettings(Section):
    """The envelope no command leaves."""

    command_rate: tuple[float, ...] = setting((0.5,), "largest change of a command per tick", unit="fraction of its range",
                                              low=1e-4, high=1.0, per_joint=True)
    speed_guard: float = setting(0.95, "fraction of the velocity limit no command may push a joint beyond; the guard "
                                       "sets in 0.05 below", low=0.1, high=1.0)
    guard_effort: float = setting(0.1, "braking of the guard at that speed (effort interface)",
                                  unit="fraction of the effort limit", low=0.0, high=1.0)
    stop_deceleration: float = setting(1.0, "before a joint stop the allowed speed is what this deceleration can stop",
                                       unit="fraction of the acceleration limit", low=0.01, high=10.0)
    acceleration: float = setting(20.0, "largest acceleration of a velocity or position command",
                                  unit="fraction of the acceleration limit", low=0.01)
    safe_effort: str = setting("arrest", "safe command of the effort interface: arrest: come to rest within the acceleration "
                                         "limits and carry the arm; zero; damp: damping; gravity: damping and what the URDF's "
                                         "masses weigh; hold: damping and stiffness about the average of the last commands",
                               choices=("arrest", "zero", "damp", "gravity", "hold"))
    arrest_rate: float = setting(20.0, "arrest: damping over inertia; stiffness and integral follow from it", unit="1/s",
                                 low=1.0, high=100.0)
    mean_time: float = setting(0.5, "arrest: time constant of the mean of commands that carries the arm", unit="s", low=1e-3)
    blind_time: float = setting(0.5, "arrest: without joint states the mean command goes on, open loop, for this time",
                                unit="s", low=0.0)
    blind_effort: str = setting("mean", "arrest: ... and then: mean: it still does; zero: no effort, for an arm whose brakes "
                                        "engage by themselves", choices=("mean", "zero"))
    damping: tuple[float, ...] = setting((), "damping of the safe command; empty: a twentieth of the effort limit at the "
                                             "velocity limit", unit="N m s/rad", low=0.0, per_joint=True)
    stiffness: tuple[float, ...] = setting((50.0,), "stiffness of the safe command 'hold'", unit="N m/rad", low=0.0,
                                           per_joint=True)
    steady_time: float = setting(0.5, "time constant of the average of commands for 'hold'", unit="s", low=1e-3)
    start: str = setting("active", "after activation: follow the controller, whose first target is to stay (active), or "
                                   "wait for ~/resume (hold)", choices=("active", "hold"))
    ramp_time: float = setting(0.3, "from holding to following the controller, velocity and position interface",
                               unit="s", low=0.0, high=60.0)
    ramp_time_effort: float = setting(0.0, "the same for the effort interface; an arm that does not carry itself would "
                                           "fall meanwhile", unit="s", low=0.0, high=60.0)
    max_failed_plans: int = setting(10, "failed decisions in a row before the fault state", unit="ticks", low=0)
    longest_outage: float = setting(0.5, "without joint states for longer, recovery is no longer automatic", unit="s",
                                    low=0.0)
    longest_saturation: float = setting(0.5, "a command at its limit for longer is cause for doubt (effort, velocity)",
                                        unit="s", low=0.0)
    overspeed: float = setting(1.5, "a joint faster than this is a fault", unit="fraction of the velocity limit", low=1.0)
    distrust: str = setting("degrade", "when the model's innovations stay far outside their bounds: ignore it, move slowly "
                                       "(degrade), or, after trust.hold_after, send the safe command until it is trusted "
                                       "again (hold)", choices=("ignore", "degrade", "hold"))
    degraded_speed: float = setting(0.6, "allowed speed while something is in doubt", unit="fraction of the normal one",
                                    low=0.01, high=1.0)
    late_warning: float = setting(0.006, "mean age of the commands that act, beyond the delay that is compensated, from which on "
                                         "the controller is slower and softer: the machine answers late; at least 1.2 periods", unit="s",
                                  low=0.0)
    late_limit: float = setting(0.012, "... and from which on the arm is held by the safe command; at least 2.4 periods", unit="s",
                                low=1e-4)
    late_release: float = setting(0.5, "time below late_warning after which a held arm is released", unit="s", low=0.0)
    fine_after: float = setting(0.2, "time without any doubt after which a degraded state ends", unit="s", low=0.0)

    def validate(self) -> None:
        if self.late_limit <= self.late_warning:
            raise ConfigurationError(f"must be above late_warning ({self.late_warning:g} s), got {self.late_limit:g}",
                                     key="late_limit", value=self.late_limit)


@dataclasses.dataclass(frozen=True)
class DistillationSettings(Section):
    """Distilling plans into a policy, and letting it act."""

    method: str = setting("clone", "who acts while teaching, and what is learned: clone: the teacher acts; dagger: teacher "
                                    "and student mixed; plato: the teacher drawn to the student acts, the plain one "
                                    "labels; gps, mdgps: the drawn one does both, by a fixed weight or a KL step",
                          choices=("clone", "dagger", "plato", "gps", "mdgps"))
    kind: str = setting("point", "targets the student is for; a teacher's samples on its way to other ones are left out",
                        choices=("joints", "point", "features"))
    window: float = setting(0.04, "over which accelerations and commands are averaged", unit="s", low=1e-3, high=1.0)
    caution: float = setting(0.8, "fraction of the identified inertia the student uses", low=0.05, high=1.0)
    goal_units: int = setting(32, "hidden units in each of the goal network's two layers", low=1, high=1024)
    gain_units: int = setting(16, "hidden units of the gain network", low=1, high=1024)
    velocity_fraction: float = setting(0.5, "of the joint velocity limit the student never plans to exceed", low=0.01,
                                       high=1.0)
    acceleration_fraction: float = setting(1.0, "of the joint acceleration limit", low=0.01, high=10.0)
    tasks: int = setting(1, "tasks that share the student", low=1, high=1000)
    teachers: int = setting(1, "teachers who answer the same states of one robot; the student learns the mean and covariance "
                               "of what they say", low=1, high=100)
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
    attraction: float = setting(1.0, "plato: weight lambda of the KL divergence to the student; gps: at first", low=0.0)
    kl_step: float = setting(0.01, "gps: KL divergence lambda adapts to; mdgps: the largest", low=1e-9)
    safe_disagreement: float = setting(0.6, "while teaching, the teacher alone acts above this distance of student from "
                                             "teacher, weighed by the teacher's precision",
                                       unit="fraction of the command range", low=0.0)
    file: str = setting("", "policy to act by (control.controller: policy); empty: none until one arrives")
    promote: str = setting("service", "when a policy may act: service: when asked to; rule: also by itself, after "
                                      "promote_after seconds in shadow below promote_disagreement",
                           choices=("service", "rule"))
    promote_after: float = setting(5.0, "seconds in shadow before a policy may act", unit="s", low=0.0)
    promote_disagreement: float = setting(0.5, "largest mean disagreement in shadow of a policy that may act",
                                          unit="fraction of the command range", low=0.0)
    fall_back_disagreement: float = setting(1.2, "mean disagreement over the last 0.1 s at which the planner takes over",
                                            unit="fraction of the command range", low=0.0)
    teacher_rate: float = setting(0.0, "rate of the planner beside a policy, at most control.rate; 0: that", unit="Hz", low=0.0,
                                  high=1e4)
    watch: bool = setting(True, "let the planner plan on, after each command of the policy: it notices disagreement and "
                                "can take over at once; without it, it must first settle")
    blend: float = setting(0.1, "time constant with which the command goes over when another acts", unit="s", low=0.0,
                           high=10.0)
