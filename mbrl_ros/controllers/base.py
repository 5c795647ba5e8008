r"""The controller interface: what the control loop asks of whatever decides on commands.

Once per control period dt [s] the loop calls, in this order,

    decision = controller.step(observation)       (q, qd)(t) -> u(t), a request that the supervisor may change
    controller.record(stamp, u_applied)           the command that was published for the observation stamped t

and between two such pairs, when something happens: `reset` once at the start, `resume` after an interruption, `hold`
when the arm shall stay, `update_settings` and the target methods. A controller never raises an exception because of
what it observes: what went wrong is the status of its decision or its `health`.

Symbols: n joints, m feature coordinates (two per image point), nu = n commands. Joint arrays are in the order of
`Robot.joints`, with q in rad or m, qd in rad/s or m/s and u in the unit of the robot's interface (N m or N, rad/s or
m/s, rad or m). Stamps are those of the observations [s].
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from ..config.configuration import Configuration
from ..dynamics.base import Estimator
from ..dynamics.delay_monitor import DelayMonitor
from ..references.jogging import JogCounts
from ..references.segments import Waypoints
from ..references.targets import Target
from ..references.trajectory_joins import TrajectoryJoins
from ..references.trajectory_progress import Progress
from ..robots import Robot
from ..types import Array, Decision, Observation, quick_init
from .target_tracking import TargetTracking as TargetTracking  # plug-ins import it from here


@quick_init
@dataclass(frozen=True, slots=True)
class Health:
    """What a controller knows to be wrong after its last step; nothing for a controller in good order.

    features_lost: the target is one in the image and no recent frame shows the features; model_inconsistent: the
    predictions of the learned model lie outside their bounds (consistency level 0, see dynamics/consistency.py);
    model_lost: they did so for so long that the arm is to be held; gain: the share of its usual gain that it was
    told to use.
    """

    features_lost: bool = False
    model_inconsistent: bool = False
    model_lost: bool = False
    gain: float = 1.0


class Controller(Protocol):
    """Decides on one command per control period, from observations and targets."""

    @property
    def robot(self) -> Robot:
        """The robot that is controlled."""

    @property
    def configuration(self) -> Configuration:
        """The settings in use, the last `update_settings` included."""

    @property
    def dt(self) -> float:
        """The control period [s]."""

    @property
    def m(self) -> int:
        """The number of feature coordinates; 0 without a camera."""

    # --- one tick -------------------------------------------------------------------------------------------------

    def step(self, observation: Observation) -> Decision:
        """Decide on the command (nu,) for one observation.

        Parameters
        ----------
        observation
            State and frames measured at one stamp, later than that of the last call.

        Returns
        -------
        Decision
            The requested command, finite and inside the robot's command limits, its status, and the plan behind it.
        """

    def record(self, stamp: float, command: Array) -> None:
        """Take note of the command that was applied, which need not be the requested one.

        Parameters
        ----------
        stamp
            Of the observation that the command answers [s]; of a later one where the command came too late for its own.
        command
            Applied command (nu,).
        """

    def health(self) -> Health:
        """Return what is known to be wrong after the last step."""

    # --- interruptions --------------------------------------------------------------------------------------------

    def reset(self, observation: Observation) -> None:
        """Start anew: forget what was learned and rest where the robot is."""

    def hold(self, observation: Observation) -> None:
        """Come to rest within the joints' limits and forget every target; what was learned stays."""

    def resume(self, observation: Observation, command: Array) -> None:
        """Continue after an interruption, towards the present target; what was learned stays.

        Parameters
        ----------
        observation
            The first one after the interruption; its stamp may be earlier than the last one.
        command
            The command (nu,) in effect at the end of the interruption.
        """

    def assume_held(self, observation: Observation, command: Array) -> None:
        """Take it that `command` (nu,), the guard's, holds the arm at `observation`; called after `resume`.

        For a controller that has not commanded the arm yet and knows nothing of what it must carry.
        """

    def rejoin(self, observation: Observation) -> None:
        """Let a motion towards a goal go on from where the robot is, or wait: see `TargetManager.ramp_in`."""

    def wait_for_arm(self, observation: Observation) -> None:
        """Do the same for a robot that is slowed down before contact; a jog keeps near the robot by itself."""

    def skip_transition(self, forget: float = 0.0) -> None:
        """Learn nothing in the next step, and forget the last `forget` [s]: the robot may not have followed."""

    def place_uncontrolled(self, r: Array) -> None:
        """Take note of where joints that are not controlled are, from other messages than those of `step`.

        Parameters
        ----------
        r
            Positions (k,) [rad or m] of the joints of `Robot.uncontrolled`, NaN where one is not known.
        """

    @property
    def uncontrolled(self) -> Array | None:
        """Where the joints that are not controlled are taken to be (k,) [rad or m]; None if there are none."""

    # --- settings and timing --------------------------------------------------------------------------------------

    def update_settings(self, configuration: Configuration) -> None:
        """Take over the dynamic settings of `configuration`, between two steps."""

    def adapt_to_lateness(self, periods: int, authority: float, std: float) -> None:
        """Take into account that commands act later than the configured delay.

        Parameters
        ----------
        periods
            Whole control periods by which they act later.
        authority
            Share (0, 1] of the usual speed and rate of change that the controller may use.
        std
            Standard deviation [s] of when the command recorded next begins to act, beyond that of the delay.
        """

    def limit_gain(self, share: float) -> None:
        """React to errors with `share` (0, 1] of the usual gain from the next step on: the loop is bad."""

    # --- targets, from any thread ---------------------------------------------------------------------------------

    def set_joint_target(self, q: Array, stamp: float = 0.0) -> Target:
        """Go to q (n,) from `stamp` [s] on (0: now); TargetError if it lies outside the limits."""

    def set_point_target(self, p: Array, stamp: float = 0.0) -> Target:
        """Bring the end effector to p (3,) [m, base frame] from `stamp` [s] on; TargetError if it is out of reach."""

    def set_pose_target(self, pose: Array, stamp: float = 0.0) -> Target:
        """Bring the tool into a pose [p; x, y, z, w] (7,) [m, base frame] from `stamp` [s] on.

        (x, y, z, w) is a unit quaternion; TargetError if the pose is out of reach.
        """

    def set_feature_target(self, s: Array, stamp: float = 0.0) -> Target:
        """Bring the features to s (m,) [image coordinates] from `stamp` [s] on; TargetError if outside the image."""

    def set_trajectory(self, points: Waypoints, stamp: float = 0.0) -> Target:
        """Pass `points` after `stamp` (0: now), then rest; TargetError if malformed or outside the limits."""

    def set_twist(self, twist: Array, frame: str = "", stamp: float = 0.0) -> Target:
        """Move the tool with [v; w] (6,) [m/s, rad/s] in the axes of a link until `reference.jog_timeout` is over.

        '' is the root link. The newest jog, of the tool or of the joints, takes the place of what the arm does; the
        next step judges it by its stamp. TargetError if it is not finite, too fast, or the frame is not known.
        """

    def set_velocities(self, qd: Array, stamp: float = 0.0) -> Target:
        """Move the joints with qd (n,) [rad/s or m/s]; otherwise as `set_twist`."""

    @property
    def jog_counts(self) -> JogCounts:
        """What became of twists and joint velocities."""

    def progress(self, points: Waypoints) -> Progress:
        """Return how far the arm is with `points`, as they were given to `set_trajectory`; in the control thread."""

    def take_target_notes(self) -> list[str]:
        """Return in words which targets that began since the last call are not reached as asked for."""

    def refuse_targets_while(self, reason: Callable[[], str]) -> None:
        """Refuse every target (TargetError) while `reason()` is not empty; it tells why."""

    @property
    def joins(self) -> TrajectoryJoins:
        """Tells when trajectories begin."""

    @property
    def targets_accepted(self) -> int:
        """The number of targets accepted since construction."""

    @property
    def targets_adopted(self) -> int:
        """How many of them had been accepted at the last step."""

    @property
    def targets_forgotten(self) -> int:
        """How often all targets have been forgotten, as by `hold`."""

    def asked_at(self, forgotten: int) -> AbstractContextManager[None]:
        """Take the targets that this thread sets within for asked when `targets_forgotten` was `forgotten`.

        TargetError if all targets have been forgotten since.
        """

    @property
    def target(self) -> Target | None:
        """The target of the last step; None before the first."""

    @property
    def reference_end(self) -> float:
        """When the present target's reference comes to rest [s]; infinity while that is unknown, NaN without one."""

    def joint_reference(self, stamp: float) -> Array:
        """Return the joint reference (n,) at `stamp` [s]."""

    # --- what was learned -----------------------------------------------------------------------------------------

    @property
    def dynamics(self) -> Estimator | None:
        """The dynamics that are learned, None where nothing is learned."""

    @property
    def delay(self) -> DelayMonitor | None:
        """What is known of the commands' delay, None where it is not estimated."""

    @property
    def nis_bound(self) -> float:
        """The 95 % bound of a decision's normalised innovation squared (NIS); NaN where nothing is predicted."""
