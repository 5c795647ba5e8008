"""What mpc_node publishes: the command first; status, plan, diagnostics and log row after it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Float64MultiArray, String, UInt8
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import MarkerArray

from ..codegen.compiler import fallbacks
from ..config.sections.nodes import NodeSettings
from ..data.store import Owner
from ..data.tick_log import TickLog
from ..data.transition_recorder import TransitionRecorder
from ..exceptions import DataError
from ..messages.input_gate import InputGate
from ..robots import Robot
from ..runtime.control_loop import ControlLoop, Tick
from ..runtime.event_log import Event
from ..safety.state_machine import Reason, State
from . import message_writers, qos, status
from .command_publisher import CommandPublisher
from .markers import to_markers

DIAGNOSTICS_PERIOD = 1.0  # [s]
LONGEST = 500  # characters told of one target or service


class NodeOutputs:
    """The `Outputs` of mpc_node's control loop. `loop` and the input `gates` are set once there are any."""

    loop: ControlLoop
    gates: Sequence[InputGate]

    def __init__(self, node: LifecycleNode, robot: Robot, controller, settings: NodeSettings):
        self._node, self._robot, self._controller, self._settings = node, robot, controller, settings
        self._commands = CommandPublisher(node, robot, settings, controller.dt)
        self._heartbeat = node.create_publisher(UInt8, "~/heartbeat", qos.HEARTBEAT)
        self._status = node.create_publisher(Float64MultiArray, "~/status", qos.STATUS)
        self._state_text = node.create_publisher(String, "~/supervisor_state", qos.LATCHED)
        self._message = node.create_publisher(String, "~/message", qos.EVERY)
        self._event_log = node.create_publisher(String, "~/event_log", qos.HISTORY)
        self._plan = node.create_publisher(JointTrajectory, "~/plan", qos.VIEW)
        self._markers = node.create_publisher(MarkerArray, "~/markers", qos.VIEW)
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", qos.RELIABLE)
        self._publishers = (
            self._heartbeat,
            self._status,
            self._state_text,
            self._message,
            self._event_log,
            self._plan,
            self._markers,
            self._diagnostics,
        )
        self._timer = None
        self._recorder: TransitionRecorder | None = None
        self.policy = None  # the PolicyInterface, where there is one

    def begin(self) -> None:
        """The node becomes active."""
        self._next_plan = self._next_heartbeat = -np.inf
        self._diagnosis: Iterator[DiagnosticStatus] | None = None
        self._diagnosed = -np.inf
        self._reasons: Counter[Reason] = Counter()
        self._state = State.HOLD
        self._prediction = status.Prediction()
        self._log = self._new_log() if self._settings.log_file else None
        if self._settings.transitions_file and self._controller.dynamics is not None:
            self._recorder = TransitionRecorder(Owner(self._robot.joints, self._robot.interface, self._controller.dt))
            self._controller.dynamics.show_transitions_to(self._recorder)
        self._timer = self._node.create_timer(DIAGNOSTICS_PERIOD, self._diagnose_silence)

    def end(self, leaving: Duration) -> None:
        """After the last command: wait until its readers have it, then write the log."""
        self._node.destroy_timer(self._timer)
        self._commands.wait_until_sent(leaving)
        if self._log is not None:
            self._save()
        self._save_transitions()

    def destroy(self) -> None:
        self._commands.destroy()
        for publisher in self._publishers:
            self._node.destroy_publisher(publisher)

    # --- from the control thread ----------------------------------------------------------------------------------

    def command(self, stamp: float, u: np.ndarray) -> None:
        self._commands.publish(stamp, u)

    def tick(self, tick: Tick) -> None:
        decision, command = tick.decision, tick.command
        self._status.publish(status.to_status(status.status_values(tick, self._controller, self._rejected())))
        now = time.perf_counter()
        if now >= self._next_heartbeat:
            self._next_heartbeat = now + qos.HEARTBEAT_PERIOD
            self._heartbeat.publish(UInt8(data=int(command.state)))
        if command.state is not self._state:
            self._tell_transition(command.state)
        if command.reasons:
            self._reasons.update(reason for reason in Reason if reason and reason in command.reasons)
        if decision is not None:
            self._prediction.add(tick.observation, decision, self._controller.nis_bound)
            if decision.plan is not None and self._settings.plan_rate and decision.stamp >= self._next_plan:
                self._next_plan = decision.stamp + 1.0 / self._settings.plan_rate
                self._show(decision)
        self._diagnose(now)
        if self.policy is not None:
            self.policy.after_tick(followed=decision is not None and command.state is State.ACTIVE)
        if self._log is not None:
            self._add_row(tick)

    def event(self, event: Event) -> None:
        self._event_log.publish(String(data=event.to_json()))

    def log(self, level: str, text: str) -> None:
        logger = self._node.get_logger()
        if level == "error":  # rclpy allows one severity per line of code
            logger.error(text)
        elif level == "warning":
            logger.warning(text)
        else:
            logger.info(text)

    def tell(self, text: str, done: bool = True) -> None:
        """What became of something asked for: a target, a service; with the reason where it was refused."""
        text = text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."  # it may quote what it was sent
        self.log("info" if done else "warning", text)
        self._message.publish(String(data=text))

    # --- inside -----------------------------------------------------------------------------------------------------

    def _tell_transition(self, state: State) -> None:
        before, self._state = self._state, state
        cause = self.loop.supervisor.cause
        reason = cause.name if cause else "nothing wrong"
        self._state_text.publish(String(data=f"{state.value} {state.name}: {reason}"))
        if cause & (Reason.LATE | Reason.TOO_LATE):
            reason += ": this machine answers late"
        bad = state in (State.DEGRADED, State.FAULT, State.E_STOP)
        self.log("warning" if bad else "info", f"supervisor: {before.name} -> {state.name} ({reason})")

    def _show(self, decision) -> None:
        """The plan for eyes."""
        self._plan.publish(
            message_writers.to_trajectory(decision.plan, self._robot.joints, decision.stamp, self.loop.dt)
        )
        if self._markers.get_subscription_count():
            kinematics, target = self._controller.target_manager.kinematics, self._controller.target
            path = kinematics.positions(decision.plan.x_hat[:, : self._robot.n])
            goal = None if target is None or target.q is None else kinematics.position(target.q)
            self._markers.publish(to_markers(path, goal, self._robot.root, message_writers.to_time(decision.stamp)))

    def _rejected(self) -> int:
        return sum(sum(gate.rejected.values()) for gate in self.gates)

    def _diagnose(self, now: float) -> None:
        """One part of the diagnostics a tick, right after a command: all at once they would delay the next one."""
        if self._diagnosis is None and now - self._diagnosed >= DIAGNOSTICS_PERIOD:
            self._diagnosed, self._parts, self._diagnosis = now, [], self._new_diagnosis()
        if self._diagnosis is not None:
            part = next(self._diagnosis, None)
            if part is not None:
                self._parts.append(part)
                return
            self._diagnosis = None
            self._publish_diagnosis(self._parts)

    def _diagnose_silence(self) -> None:
        """Diagnostics while there are no ticks."""
        if time.perf_counter() - self._diagnosed > 1.5 * DIAGNOSTICS_PERIOD:
            self._publish_diagnosis(list(self._new_diagnosis()))

    def _new_diagnosis(self) -> Iterator[DiagnosticStatus]:
        reasons, self._reasons = self._reasons, Counter()
        return status.statuses(
            self._node.get_fully_qualified_name(),
            self.loop,
            self.gates,
            self._prediction,
            self._settings,
            reasons,
            DIAGNOSTICS_PERIOD,
        )

    def _publish_diagnosis(self, parts: list[DiagnosticStatus]) -> None:
        message = DiagnosticArray(status=parts)
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _new_log(self) -> TickLog:
        n, m = len(self._robot.joints), self._controller.m
        numbers = (
            "stamp",
            "compute_ms",
            "latency_ms",
            "period_us",
            "nis",
            "nis_bound",
            "nis_dof",
            "decision_status",
            "plan_status",
            "plan_iterations",
            "cost",
            "state",
            "reasons",
            "missed",
            "target_kind",
            "target_stamp",
            "reference_end",
            "rejected",
            "late",
            "cause",
        )
        return TickLog(
            {
                **dict.fromkeys(numbers),
                **dict.fromkeys(("q", "qd", "u_proposed", "u", "innovation", "reference_q"), n),
                "features": m,
            }
        )

    def _add_row(self, tick: Tick) -> None:
        decision, observation, controller = tick.decision, tick.observation, self._controller
        plan, target = decision.plan if decision is not None else None, controller.target
        self._log.add(
            stamp=observation.stamp,
            q=observation.q,
            qd=observation.qd,
            u=tick.command.u,
            compute_ms=1e3 * tick.compute,
            period_us=1e6 * tick.period,
            missed=tick.missed,
            state=tick.command.state,
            reasons=tick.command.reasons,
            nis_bound=controller.nis_bound,
            reference_end=controller.reference_end,
            reference_q=controller.target_manager.joints.at(observation.stamp),
            rejected=self._rejected(),
            late=tick.late,
            cause=self.loop.supervisor.cause,
            target_kind=None if target is None else status.TARGET_KINDS[target.kind],
            target_stamp=None if target is None else target.stamp,
        )
        if decision is not None:
            row = dict(
                latency_ms=1e3 * tick.latency,
                u_proposed=decision.u,
                nis=decision.nis,
                nis_dof=decision.nis_dof,
                decision_status=decision.status,
                innovation=decision.innovation,
            )
            if plan is not None:
                row.update(
                    plan_status=plan.status,
                    plan_iterations=plan.iterations,
                    cost=plan.cost,
                    features=self._present_features(plan),
                )
            self._log.amend(**row)

    def _present_features(self, plan) -> np.ndarray:
        n, m = len(self._robot.joints), self._controller.m
        return plan.x_hat[0, 2 * n : 2 * n + m]

    def _save_transitions(self) -> None:
        if self._recorder is not None:
            try:
                self._recorder.dataset(self._node.get_fully_qualified_name()).save(self._settings.transitions_file)
            except (OSError, DataError) as error:
                self.log("error", f"the transitions were not written: {error}")

    def _save(self) -> None:
        kinematics = self._controller.target_manager.kinematics
        arrays = self._log.arrays()
        tips = {
            name: kinematics.positions(arrays[source]) if self._log.count else np.zeros((0, 3))
            for name, source in (("tip", "q"), ("reference_tip", "reference_q"))
        }
        facts = {
            "joints": self._robot.joints,
            "dt": self.loop.dt,
            "events": self.loop.events,
            "fallbacks": fallbacks(),
            "rejected": {gate.stream: gate.rejected for gate in self.gates},
        }
        try:
            self._log.save(self._settings.log_file, facts, **tips)
        except OSError as error:
            self.log("error", f"the log was not written: {error}")
