"""Verdicts: whether a run did its job, as first line of its report, last line of its output, and exit code.

A verdict is `PASS`, or `FAIL: why, since when, what to try`. It is computed from what was recorded, by functions that
read neither clock nor file. Those of replays, evaluations and benches are here, those of the demo in demo/verdict.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LATE = 0.05  # share of the ticks missed or answered late beyond which a machine is too slow for the run
GAPS = 0.5  # share of a recording's samples without one a period before, beyond which its scores rest on too little
STILL_MOTION = 1e-3  # [rad or m]: a joint that moves by less has not moved
BUSY = "end other programs that use the processors"


@dataclass(frozen=True, slots=True)
class Verdict:
    """passed, or why not, since_s [s] in the time of the run (None: no particular time), and what to try."""

    passed: bool
    why: str = ""
    since_s: float | None = None
    remedy: str = ""

    def line(self) -> str:
        """Return the verdict as one line."""
        if self.passed:
            return "PASS"
        since = "" if self.since_s is None else f", since {self.since_s:.2f} s"
        return f"FAIL: {self.why}{since}{f', try: {self.remedy}' if self.remedy else ''}"

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as JSON values."""
        return {"pass": self.passed, "why": self.why, "since_s": self.since_s, "try": self.remedy}

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Verdict:
        """Return the verdict that to_json wrote."""
        return cls(entry["pass"], entry["why"], entry["since_s"], entry["try"])

    @property
    def code(self) -> int:
        """Return the exit code of the process."""
        return 0 if self.passed else 1


PASS = Verdict(True)


def of_merge(distances: Sequence[float], most: float, what: str, remedy: str) -> Verdict:
    """Judge policies that became one by how far each task is from its teacher, in words `what`, at most `most`."""
    worst = max(range(len(distances)), key=lambda task: distances[task])
    if distances[worst] <= most:
        return PASS
    return Verdict(
        False, f"task {worst}: {what} by {distances[worst]:.2f}, at most {most:g} is a merged policy's", None, remedy
    )


def first(verdicts: Sequence[Verdict]) -> Verdict:
    """Return PASS if all passed, else the first that did not, with the number of the others."""
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if not failed:
        return PASS
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return Verdict(False, failed[0].why + more, failed[0].since_s, failed[0].remedy)


def late_machine(fraction: float, limit: float = LATE) -> str:
    """Describe a machine that missed or answered late this fraction of the ticks; empty if that is within `limit`."""
    return f"this machine answers late ({100.0 * fraction:.0f} % of the ticks)" if fraction > limit else ""


# --- replays ------------------------------------------------------------------------------------------------------


def of_replay(summary: Mapping[str, Any], fault: tuple[float, str] | None, repeats: bool, tolerance: float) -> Verdict:
    """Judge a replay by its summary.

    Parameters
    ----------
    summary
        Of the replay.
    fault
        (seconds, cause) of the first tick in FAULT; None: there was none.
    repeats
        Nothing was changed, so that the commands must be those recorded.
    tolerance
        Of the commands, as a fraction of their range.
    """
    if fault is not None:
        return Verdict(
            False,
            f"the arm was lost (FAULT, {fault[1]})",
            fault[0],
            "the report's plots before that moment, or other settings: --set KEY=VALUE",
        )
    if summary["controller_errors"]:
        return Verdict(False, f"the controller raised {summary['controller_errors']} errors", None, "the log above")
    difference = summary["difference"]
    if repeats and difference is not None and difference["max"] > tolerance:
        return Verdict(
            False,
            f"the commands are not those recorded: {difference['compared'] - difference['identical']} of "
            f"{difference['compared']} differ, by up to {100.0 * difference['max']:.2g} % of their range",
            None,
            "the notes above for what could not be repeated; the version and machine that recorded",
        )
    return PASS


def of_differences(lines: Sequence[str], golden: Any) -> Verdict:
    """Judge `--check` by the lines that differ."""
    if not lines:
        return PASS
    return Verdict(False, f"{len(lines)} differences from {golden}", None, "--save-golden again, if they are intended")


def of_sides(result: Mapping[str, Any]) -> Verdict:
    """Judge the comparison of two replays."""
    if result["ticks_in_common"]:
        return PASS
    return Verdict(False, "the two replays have no tick in common", None, "two replays of one bag")


# --- recordings -----------------------------------------------------------------------------------------------------


def of_recording(name: str, motion: float, finite: bool, gaps: float) -> Verdict:
    """Judge whether the scores of a recording mean anything.

    Parameters
    ----------
    name
        Of the recording.
    motion
        Largest range of a joint's positions [rad or m].
    finite
        Whether the scores of every estimator are finite.
    gaps
        Share of the samples that do not follow another one by one period.
    """
    if motion <= STILL_MOTION:
        return Verdict(
            False,
            f"{name} is without motion (no joint moves by more than {motion:.2g} rad or m), so that its "
            "scores mean nothing",
            None,
            "a recording in which every joint moves",
        )
    if gaps > GAPS:
        return Verdict(
            False,
            f"{name} has gaps: {100.0 * gaps:.0f} % of its samples do not follow the one before",
            None,
            "a recorder that keeps up, or --rate with less than was recorded",
        )
    if not finite:
        return Verdict(
            False, f"scores of {name} are not finite", None, "a longer recording, or `mbrl doctor` on the bag"
        )
    return PASS


def unreadable(names: Sequence[str]) -> Verdict:
    """Judge recordings that could not be read."""
    return Verdict(False, f"{', '.join(names)} could not be evaluated", None, "`mbrl doctor` on it") if names else PASS


# --- benches --------------------------------------------------------------------------------------------------------


def of_solvers(left_out: Mapping[str, str]) -> Verdict:
    """Judge the planner's bench by the solvers left out: {solver: why it did not run}."""
    if not left_out:
        return PASS
    reasons = "; ".join(dict.fromkeys(left_out.values()))
    compiler = any("compile" in reason for reason in left_out.values())
    return Verdict(
        False,
        f"did not run: {', '.join(left_out)} ({reasons})",
        None,
        "a C++ compiler (g++)" if compiler else "pip install 'mbrl_ros[bench]', or name the others with --solvers",
    )


def of_node_bench(results: Mapping[str, Mapping[str, Any]]) -> Verdict:
    """Judge the node's bench by {rate: result}."""
    return first([_of_rate(rate, result) for rate, result in results.items()])


def _of_rate(rate: str, result: Mapping[str, Any]) -> Verdict:
    missed = result["missed_fraction"]
    if missed >= 1.0:
        return Verdict(False, f"no state was answered at {rate} Hz", None, f"a lower rate: --rates {float(rate) / 2:g}")
    late = late_machine(missed)
    if late:
        return Verdict(False, f"{late[:-1]} at {rate} Hz)", None, f"--rates {float(rate) / 2:g}, or {BUSY}")
    if result.get("acting_fraction", 1.0) < 0.5:
        return Verdict(
            False,
            f"the policy acted in only {100.0 * result['acting_fraction']:.0f} % of the ticks at {rate} Hz",
            None,
            "`mbrl policy evaluate` on the file",
        )
    return PASS


def of_fault_bench(
    counts: Mapping[str, int], wrong: Sequence[str], asked: tuple[int, int], unjudged: Sequence[str] = ()
) -> Verdict:
    """Judge the fault bench.

    Parameters
    ----------
    counts
        {what: how often}.
    wrong
        Names of the counts that must be 0.
    asked
        Bad messages and kills that were to be made.
    unjudged
        What else was to be made and was not, or could not be judged because this machine was late.
    """
    found = [f"{counts[key]} {key.replace('_', ' ')}" for key in wrong if counts[key]]
    if found:
        return Verdict(False, ", ".join(found), None, f"the notes above; {BUSY} and run it again with --priority 50")
    if counts["bad_messages"] < asked[0] or counts["kills"] < asked[1]:
        return Verdict(
            False,
            f"it ended early: {counts['bad_messages']} of {asked[0]} messages, {counts['kills']} of {asked[1]} kills",
            None,
            "the notes above",
        )
    if unjudged:
        return Verdict(
            False, f"only {', '.join(unjudged)} could be judged", None, f"the notes above; {BUSY} and run it again"
        )
    return PASS


def of_tick_bench(result: Mapping[str, Any]) -> Verdict:
    """Judge the bench of a tick by its result."""
    if result["instructions"] is None:
        return Verdict(False, f"no instructions were counted: {result['reason']}", None, "install perf or valgrind")
    late = late_machine(result["late_fraction"])
    return Verdict(False, late, None, f"{BUSY}, or a lower --rate") if late else PASS


# --- data and priors ----------------------------------------------------------------------------------------------


def of_checkup(errors: Sequence[str]) -> Verdict:
    """Judge what `mbrl doctor` found by its errors, of which each has its advice beside it."""
    if not errors:
        return PASS
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Verdict(False, errors[0] + more, None, "the advice above")


def of_settings(problems: Sequence[str]) -> Verdict:
    """Judge files of settings by what is wrong in them, which has been printed."""
    if not problems:
        return PASS
    return Verdict(False, f"{len(problems)} problem{'s' * (len(problems) > 1)} found", None, "the remedies above")


def of_prior(nmse: float, unknown: Sequence[str], worst: float, most: float, delays: Sequence[str]) -> Verdict:
    """Judge a fitted prior.

    Parameters
    ----------
    nmse
        Normalized error of one step on data that it has not seen: 1 is that of no change.
    unknown
        Joints whose input gain the data do not tell.
    worst, most
        Standard error of the gain over its size in its worst direction, and what is allowed.
    delays
        Recordings that do not tell the delay of their commands.
    """
    if not nmse < 1.0:
        why = f"on data that it has not seen the prior predicts no better than 'no change' (nmse_1_qd {nmse:.3g})"
        return Verdict(False, why, None, "recordings with more motion, or another --kind")
    excite = "recordings with excitation (excitation.when), or transitions_file of mpc_node; let nothing act with it"
    if unknown:
        return Verdict(False, f"the data do not tell the input gain of {', '.join(unknown)}", None, excite)
    if not worst <= most:
        why = f"the data do not tell the input gain where commands go together (error {100.0 * worst:.0f} %)"
        return Verdict(False, why, None, excite)
    if delays:
        return Verdict(False, f"{', '.join(delays)}: the delay of the commands is not told", None, excite)
    return PASS
