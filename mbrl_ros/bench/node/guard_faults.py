"""kill -9 and SIGSTOP of mpc_node and kill -9 of guard_node while the arm moves, over real DDS and in real time.

The arm may go as far as braking at the acceleration limit takes it and 5 cm (falls.py). Where the first command of the
one who takes over left its publisher later than promised, by the publishers' own time stamps, that counts as a late
safe command. A fall is judged only where this machine was in time: the safe command was not late, no two commands in a
row lay farther apart than LONGEST_COMMAND_GAP (a guard killed: than promised), and no period of this process was late
by DISTURBED. Otherwise the kill counts as disturbed and is repeated, at most REPEATED times as often as was asked for.
Where the arm goes while the process that was killed starts again is judged as well, if no period was late by DISTURBED,
and an arm at rest that moves faster than THROWN until TAKEN_OVER seconds after the hand-over fell, too.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

import numpy as np

from ...nodes.guard_watch import SILENT_PERIODS, SILENT_TIME
from ...types import Array
from .child import START_TIMEOUT
from .falls import FallJudge
from .fault_record import Cell
from .guarded_robot import GUARDED_RATE, OWN, SLOW_ENOUGH, GuardedRobot

GUARD_KINDS = ("mpc-kills", "guard-kills", "stops")
PROMISED = max(3.0 / GUARDED_RATE, 0.02)  # [s] from the last good command to the guard's first (doc/guard.md)
PROMISED_PAST = max(SILENT_PERIODS / GUARDED_RATE, SILENT_TIME) + 1.0 / GUARDED_RATE  # [s] to mpc_node's first command
LATENESS = 0.02  # [s] beyond that which count as late
DISTURBED, LONGEST_COMMAND_GAP = 0.05, 0.08  # [s]
REPEATED = 2.0
MOMENT = 1.0  # [s]
STOPPING_TIME = 2.0  # [s] for which the arm is watched
LONGEST_SIGSTOP = 1.5  # [s]
TAKEN_OVER, THROWN = 0.3, 0.5  # [s], [rad/s]
REPORT_PATIENCE = 3.0  # [s] until what happened is reported

Progress = Callable[[int], None]


class GuardFaults:
    """One kind of these faults with one interface, counted in `cell`."""

    def __init__(self, kind: str, interface: str, seed: int, priority: int, cell: Cell):
        self._kind, self.cell = kind, cell
        self._rng = np.random.default_rng((seed, GUARD_KINDS.index(kind), len(interface)))
        self._arm = GuardedRobot(interface, priority, self._rng)
        self._falls = FallJudge(self._arm.side.robot)
        self._seen = 0  # interventions of the guard before the present fault

    def run(self, count: int, progress: Progress = lambda done: None) -> None:
        """Let the fault happen `count` times."""
        arm = self._arm
        try:
            arm.begin()
            while self.cell.kills < min(count + self.cell.disturbed, REPEATED * count):
                if not arm.move():
                    self._lost("the arm does not move")
                    if not (arm.mpc.running and arm.guard.running):
                        break
                arm.stream(0.3 * float(self._rng.random()))
                if not arm.commanded and arm.stream(MOMENT, lambda: arm.commanded):
                    continue  # the guard had taken over: this machine was late
                self._happen()
                self.cell.kills += 1
                progress(self.cell.kills)
            if not arm.move():
                self._lost("the arm does not move again")
        finally:
            code = arm.close(signal.SIGINT)
            self.cell.outside += arm.side.out_of_limit + arm.side.not_finite
            if code:
                self.cell.crashes += 1
                self.cell.note(f"exit code {code} of mpc_node:\n{arm.mpc.text()}")

    def _happen(self) -> None:
        """Let one fault happen to an arm in motion, watch the arm, and bring everything back."""
        arm = self._arm
        arm.tips.clear()
        arm.overrun = 0.0
        q, qd, first = arm.q, arm.qd, len(arm.side.sent_at)
        self._seen = 0 if arm.status is None else arm.status.interventions
        if self._kind == "guard-kills":
            arm.guard.process.kill()
        elif self._kind == "mpc-kills":
            arm.mpc.process.kill()
        else:
            arm.mpc.process.send_signal(signal.SIGSTOP)
            arm.stream(LONGEST_SIGSTOP * float(self._rng.uniform(0.1, 1.0)))
            arm.mpc.process.send_signal(signal.SIGCONT)
        arm.stream(STOPPING_TIME)
        if self._machine_late(first):
            self.cell.disturbed += 1
        else:
            self._judge(q, qd)
        if not self._reported():
            self.cell.silent += 1
            self.cell.note(f"not reported; the guard: {arm.mode}\n{arm.mpc.text()}{arm.guard.text()}")
        self._restore()

    def _judge(self, q: Array, qd: Array) -> None:
        """Judge where the tip went since the fault in the state q, qd (n,), and whether the arm rests."""
        arm = self._arm
        self._judge_way(q, qd)
        if (
            self._kind != "stops"
            and arm.speed > SLOW_ENOUGH
            and not arm.stream(STOPPING_TIME, lambda: arm.speed < SLOW_ENOUGH)
        ):
            self.cell.falls += 1
            self.cell.note(f"not at rest: {arm.speed:.2f} rad/s; the guard: {arm.mode}\n{arm.mpc.text()}")

    def _judge_way(self, q: Array, qd: Array) -> None:
        """Judge where the tip went since the state q, qd (n,)."""
        arm = self._arm
        self._falls.begin(q, qd)
        if self._kind == "stops":  # after a short one the motion goes on
            self._falls.allow(arm.begun, arm.goal)
        if any([self._falls.fell(tip) for tip in arm.tips]):
            self.cell.falls += 1
            self.cell.note(
                f"fell by {1e3 * self._falls.largest:.0f} mm, fastest joint {np.abs(qd).max():.2f} rad/s; "
                f"the guard: {arm.mode}\n{arm.mpc.text()}{arm.guard.text()}"
            )
        self.cell.largest = max(self.cell.largest, self._falls.largest)

    def _machine_late(self, first: int) -> bool:
        """Return whether this machine was late since the fault; count a safe command that was.

        `first`: of the commands since the fault.
        """
        with self._arm.side.arrived:
            sent = self._arm.side.sent_at[max(0, first - 1) :]
        if self._kind != "guard-kills" and sent and sent[0][0] == OWN:
            return True  # the guard had taken over just before
        times = 1e-9 * np.sort(np.array([at for _, at in sent], dtype=np.float64))
        gaps = np.diff(times)
        longest, most = float(gaps.max(initial=0.0)), LONGEST_COMMAND_GAP
        if self._kind == "guard-kills":
            late, most = longest - PROMISED_PAST, PROMISED_PAST + LATENESS
        else:
            own = next((k for k, (answered, _) in enumerate(sent) if answered == OWN), 0)
            if not own:
                self.cell.note(f"no safe command; the guard: {self._arm.mode}")
            late = float(gaps[own - 1]) - PROMISED if own else np.inf
        if late > LATENESS:
            self.cell.late += 1
            self.cell.note(f"the safe command came {1e3 * late:.1f} ms later than promised")
        return late > LATENESS or longest > most or self._arm.overrun > DISTURBED

    def _reported(self) -> bool:
        """Return whether somebody says what happened."""
        arm = self._arm
        if self._kind == "guard-kills":
            return arm.stream(REPORT_PATIENCE, lambda: "no command comes from the guard" in arm.mpc.text(200))
        return arm.status is not None and arm.status.interventions > self._seen

    def _restore(self) -> None:
        """Start again what was killed, wait until the guard forwards commands, and judge where the tip went."""
        arm = self._arm
        arm.tips.clear()
        q, qd, fastest = arm.q, arm.qd, 0.0

        def handed_over() -> bool:
            nonlocal fastest
            fastest = max(fastest, arm.speed)
            return arm.mode == "FORWARDING"

        rests = self._kind != "stops" and arm.speed < SLOW_ENOUGH
        if self._kind == "guard-kills":
            arm.guard.end(signal.SIGKILL)
            arm.mpc.output.clear()
            arm.status = None
            arm.start_guard()
        elif self._kind == "mpc-kills":
            arm.mpc.end(signal.SIGKILL)
            arm.start_mpc()
        arm.overrun = 0.0
        if not arm.stream(START_TIMEOUT, handed_over):
            self._lost("the guard does not hand over")
        if rests:
            arm.stream(TAKEN_OVER, lambda: not handed_over())
        if arm.overrun > DISTURBED:
            return
        if rests and fastest > THROWN:
            self.cell.falls += 1
            self.cell.note(f"an arm at rest was thrown by the hand-over: {fastest:.2f} rad/s\n{arm.mpc.text()}")
        self._judge_way(q, qd)

    def _lost(self, why: str) -> None:
        self.cell.unrecovered += 1
        self.cell.note(f"{why}; the guard: {self._arm.mode}\n{self._arm.mpc.text()}{self._arm.guard.text()}")
