"""Judge from its summary whether the demo did its job.

PASS, of a run with poses: each is reached to POSE_MM and POSE_DEG at rest (with the payload LOADED_MM, LOADED_DEG; all
in proportion to the arm's tolerance), and no joint is ever farther than POSTURE from its reference. Of a visual run:
the numbers of visual/metrics.py. Of any other run, too:
the true end effector is within the tolerance of every target (1 cm, less for a small arm) when its slot ends (and
again after the payload has come),
the marker within 2 % of the image's width of every image target, no FAULT and no E_STOP, no command outside its
limits, no joint faster than 0.95 of its velocity limit. Of
jogging: every change of a stream is answered within ANSWER_MS, by a reference within its jerk limit. Of a scene of
picking: no contact, and its poses reached where there is a plan; of many scenes: no contact, the limits, and
SHARE_REACHED of those with a plan reached. Of a policy: 95 % of the unseen targets within 1 cm, 95 % of
those with the payload within 2 cm, 95 % of the events detected, and the same limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..console.verdict import BUSY, PASS, Verdict, late_machine
from ..scenarios.proportions import TOLERANCE, length
from .visual.metrics import missed as missed_image

SPEED = 0.95  # of the velocity limit
IMAGE = 0.02  # of the image's width
POSE_MM, POSE_DEG, LOADED_MM, LOADED_DEG = 1.0, 0.5, 1.5, 0.8  # of poses at rest, with a tolerance of 1 cm
POSTURE = 0.15  # [rad or m] of a joint from its reference
ANSWER_MS, JERK_SHARE = 60.0, 1.001  # of jogs: from message to motion; of the jerk limit
SHARE_REACHED = 0.9  # of the scenes with a plan
SHARE_WITHIN = 0.95  # of the targets and events of a policy
PRODUCT = "refit"  # the row of a comparison with this package's defaults; the others are compared with it

SLOWER = f"leave out --realtime (simulated time then waits for every command), a lower --rate, or {BUSY}"
COMPILER = "install a C++ compiler (g++): without it everything takes several times as long"
_CAUSES = {
    "OVERSPEED": "a joint ran faster than its limit allows: check control.delay and the plant's settings, or another "
    "--seed",
    "STALE_STATE": f"states came too late: {SLOWER}",
    "MODEL_LOST": "the model did not fit what was seen: check control.delay, or supervisor.on_inconsistency: degrade",
}


def of_run(summary: Mapping[str, Any]) -> Verdict:
    """Judge one run by its summary (metrics.summarise)."""
    found = _failure(summary)
    if found is None:
        return PASS
    why, since, remedy = found
    late = late_machine(summary["ticks"].get("late_fraction", 0.0))
    if late:
        why, remedy = f"{late}; {why}", f"{COMPILER}; {SLOWER}" if summary["ticks"].get("fallbacks") else SLOWER
    return Verdict(False, why, since, remedy)


def _failure(summary: Mapping[str, Any]) -> tuple[str, float | None, str] | None:
    """Return (why, since [s], what to try) of the most severe failure; None without one."""
    supervisor = summary["supervisor"]
    if supervisor["lost_s"] is not None:
        return (
            f"the arm was lost ({supervisor['state']}, {supervisor['cause']})",
            supervisor["lost_s"],
            next(
                (text for cause, text in _CAUSES.items() if cause in supervisor["cause"]),
                "another --seed; mpc_node.log",
            ),
        )
    if summary["limit_violations"]:
        return (
            f"{summary['limit_violations']} commands outside their limits",
            summary["moments"]["outside_s"],
            "control.npz shows which; please report it",
        )
    if summary["max_joint_speed_fraction"] > SPEED:
        return (
            f"a joint reached {100.0 * summary['max_joint_speed_fraction']:.1f} % of its velocity limit (at most "
            f"{100.0 * SPEED:.0f} %)",
            summary["moments"]["fastest_s"],
            "a smaller reference.velocity_fraction",
        )
    return _missed_target(summary)


def near(summary: Mapping[str, Any]) -> str:
    """Return the tolerance of the targets in words; a summary without one is of an arm for which it is 1 cm."""
    return length(summary.get("tolerance_mm", 1e3 * TOLERANCE))


def _missed_target(summary: Mapping[str, Any]) -> tuple[str, float | None, str] | None:
    """Return (why, since [s], what to try) of the first kind of target that was missed; None without one."""
    targets, images, load = summary["targets"], summary["feature_targets"], summary["payload"]
    if "pick" in summary:
        return _missed_scene(summary)
    if "jog" in summary:
        return _late_jog(summary["jog"])
    missed_pose = _missed_poses(summary)
    if missed_pose is not None:
        return missed_pose
    if "visual" in summary and (why := missed_image(summary["visual"])):
        return why, images[0]["start_s"], "the film and the errors plot; another --seed"
    missed = [i for i, target in enumerate(targets, 1) if target["time_to_1cm_s"] is None]
    state = summary["supervisor"]["state"]
    doing = "" if state == "ACTIVE" else f", the supervisor in {state} ({summary['supervisor']['cause']})"
    if missed:
        ended = " at the end of their slots" if len(missed) > 1 else " at the end of its slot"
        which = f"{'targets' if len(missed) > 1 else 'target'} {', '.join(map(str, missed))}"
        return (
            f"{which} of {len(targets)} not within {near(summary)}{ended}{doing}",
            targets[missed[0] - 1]["start_s"],
            "the tracking and prediction plots; another --seed",
        )
    if load and load["recover_to_1cm_s"] is None:
        return (
            f"not back within {near(summary)} after {load['mass_kg']:g} kg came{doing}",
            load["start_s"],
            "a smaller --payload",
        )
    off = [
        i
        for i, image in enumerate(images, 1)
        if image["final_error_fraction"] is None or image["final_error_fraction"] > IMAGE
    ]
    if off:
        return (
            f"image target {', '.join(map(str, off))} of {len(images)} not within {100.0 * IMAGE:g} % of the image's "
            f"width{doing}",
            images[off[0] - 1]["start_s"],
            "the images plot; another --seed",
        )
    return None


def _missed_scene(summary: Mapping[str, Any]) -> tuple[str, float | None, str] | None:
    """Return (why, since [s], what to try) of a scene in which the arm touched something or missed a pose, or None."""
    pick, state = summary["pick"], summary["supervisor"]
    if pick["contact"]:
        least = min(pick["least_distance_mm"], pick["least_own_distance_mm"])
        return f"contact: a distance of {least:.1f} mm", None, "the scene's picture; a larger collision.clearance"
    if pick["with_plan"] and not pick["reached"]:
        held = "" if state["state"] == "ACTIVE" else f", the supervisor in {state['state']} ({state['cause']})"
        return f"the poses were not reached{held}", None, "the scene's picture; another --seed"
    return None


def _late_jog(jog: Mapping[str, Any]) -> tuple[str, float | None, str] | None:
    """Return (why, since [s], what to try) of streams that were answered late, not at all or roughly, or None."""
    late, plot = jog["latency_ms"]["max"], "the jog plot"
    if jog["answered"] < jog["changes"]:
        return f"{jog['changes'] - jog['answered']} of {jog['changes']} changes of a stream had no answer", None, plot
    if late > ANSWER_MS:
        return f"a stream was answered after {late:.0f} ms (at most {ANSWER_MS:g})", None, f"{plot}; {BUSY}"
    if jog["jerk_share"] > JERK_SHARE:
        return f"the reference's jerk reached {jog['jerk_share']:.3f} of its limit", None, plot
    return None


def of_scenes(summary: Mapping[str, Any]) -> Verdict:
    """Judge many scenes of picking by their counts and by the verdict of each."""
    pick, scenes = summary["pick"], summary["scenes"]
    if pick["contacts"]:
        touched = next(row["seed"] for row in scenes if row.get("contact"))
        return Verdict(
            False, f"{pick['contacts']} of {pick['scenes']} scenes with a contact", None, f"--scenes 1 --seed {touched}"
        )
    share = pick["reached"] / pick["with_plan"] if pick["with_plan"] else 0.0
    if share < SHARE_REACHED:
        missed = next((row["seed"] for row in scenes if row["with_plan"] and not row.get("reached")), scenes[0]["seed"])
        return Verdict(
            False,
            f"{pick['reached']} of {pick['with_plan']} scenes with a plan reached (at least {SHARE_REACHED:.0%})",
            None,
            f"--scenes 1 --seed {missed}",
        )
    broken = next((row for row in scenes if row.get("reached") and not row["verdict"]["pass"]), None)
    if broken is not None:
        return Verdict(False, f"seed {broken['seed']}: {broken['verdict']['why']}", None, broken["verdict"]["try"])
    return PASS


def _missed_poses(summary: Mapping[str, Any]) -> tuple[str, float | None, str] | None:
    """Return (why, since [s], what to try) of the first pose that was missed; None without one."""
    poses, share = summary.get("poses", ()), summary.get("tolerance_mm", 1e3 * TOLERANCE) / (1e3 * TOLERANCE)
    for i, pose in enumerate(poses, 1):
        loaded = pose["payload_kg"] > 0.0
        bounds = {
            "rest_mm": (share * (LOADED_MM if loaded else POSE_MM), "mm at rest"),
            "rest_deg": (LOADED_DEG if loaded else POSE_DEG, "degrees at rest"),
            "posture_rad": (POSTURE, "rad or m of its reference, the posture"),
        }
        for key, (bound, what) in bounds.items():
            if pose[key] is None or pose[key] > bound:
                found = "the run ended before" if pose[key] is None else f"{pose[key]:.3g}"
                return (
                    f"pose {i} of {len(poses)} not within {bound:g} {what}: {found}",
                    pose["start_s"],
                    "the poses plot; another --seed",
                )
    return None


def of_comparison(summaries: Mapping[str, Mapping[str, Any]]) -> Verdict:
    """Judge a comparison by the row PRODUCT; other rows may lose the arm."""
    own = summaries.get(PRODUCT)
    if own is None:
        return Verdict(False, f"the row '{PRODUCT}' is missing", None, "mbrl demo")
    verdict = of_run(own)
    return verdict if verdict.passed else Verdict(False, f"{PRODUCT}: {verdict.why}", verdict.since_s, verdict.remedy)


def of_distillation(summary: Mapping[str, Any]) -> Verdict:
    """Judge the distill scenario by its summary."""
    d = summary["distill"]
    evaluations = {"": d["unloaded"], f" with {d['loaded']['payload_kg']:g} kg": d["loaded"]}
    shares = [
        (d["success_1cm"], "of the unseen targets within 1 cm"),
        (d["payload_success_2cm"], f"of the targets with {d['loaded']['payload_kg']:g} kg within 2 cm"),
        (d["fallback_rate"], "of the events detected"),
    ]
    longer = "more teaching: a longer --duration"
    for share, what in shares:
        if not share >= SHARE_WITHIN:  # NaN where nothing was asked
            return Verdict(False, _too_few(share, what), None, longer)
    for what, evaluation in evaluations.items():
        if why := _unsafe(evaluation, what):
            return Verdict(False, why, None, longer)
    return PASS


def of_policy(evaluation: Mapping[str, Any]) -> Verdict:
    """Judge the evaluation of a policy (policy_evaluation.evaluate_policy), with the limits of the distill scenario."""
    loaded = evaluation["payload_kg"] > 0.0
    share, near = (evaluation["success_2cm"], "2 cm") if loaded else (evaluation["success_1cm"], "1 cm")
    why = "" if share >= SHARE_WITHIN else _too_few(share, f"of the targets within {near}")
    why = why or _unsafe(evaluation, "")
    return Verdict(False, why, None, "more teaching: mbrl distill with more recordings") if why else PASS


def _too_few(share: float, what: str) -> str:
    return f"only {100.0 * share:.0f} % {what} (at least {100.0 * SHARE_WITHIN:.0f} %)"


def _unsafe(evaluation: Mapping[str, Any], what: str) -> str:
    """Return in words which limit the evaluation of a policy broke, '' if none; `what` says in which part."""
    if evaluation["outside_limits"]:
        return f"{evaluation['outside_limits']} ticks outside limits{what}"
    if evaluation["max_speed_fraction"] > SPEED:
        return f"a joint reached {100.0 * evaluation['max_speed_fraction']:.0f} % of its velocity limit{what}"
    if evaluation.get("stops"):
        causes = ", ".join(f"{count} {cause}" for cause, count in evaluation["stops"].items())
        return f"the supervisor stopped the arm{what}: {causes}"
    return ""
