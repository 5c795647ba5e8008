"""Put the parts of mpc_node together: controller, supervisor, control loop, topics and services.

They exist between configure and cleanup.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode

from ..codegen.compiler import loading
from ..config.configuration import Configuration
from ..config.sections.nodes import NodeSettings
from ..controllers.base import Controller
from ..controllers.compiled_parts import LIBRARIES
from ..controllers.factory import build_controller
from ..controllers.policy import PolicyController
from ..guard.messages import Time
from ..messages.gripper import GripperReader
from ..robots import Robot
from ..robots.kinematics import Kinematics
from ..runtime.conditions import SystemClock
from ..runtime.control_loop import ControlLoop
from ..runtime.feedback_player import PLAN_VALIDITY, FeedbackPlayer
from ..safety.factory import make_supervisor
from ..safety.supervisor import Supervisor
from . import command_publisher, realtime, trajectory_action
from .background_worker import BackgroundWorker
from .collision_report import CollisionReport
from .command_watch import CommandWatch
from .diagnostics import Diagnostics
from .feedback_output import check_feedback
from .gripper_topic import GripperTopic
from .guard_link import GuardLink
from .input_clock import InputClock
from .obstacle_topic import ObstacleTopic
from .outputs import NodeOutputs
from .plan_display import PlanDisplay
from .policy_interface import PolicyInterface
from .remarks import Remarks
from .reporter import Reporter
from .services import Services
from .subscriptions import InputGates, Subscriptions
from .target_outcomes import TargetOutcomes
from .target_progress import TargetProgress
from .tick_table import TickTable
from .transition_file import TransitionFile

GUARD_PATIENCE = 10.0  # [s] for which the activation waits for the guard
LEAVING = Duration(seconds=1.0)  # how long the safe command is given to reach its subscribers


class MpcAssembly:
    """The control loop of a robot with everything that connects it to ROS."""

    def __init__(self, node: LifecycleNode, robot: Robot, configuration: Configuration, settings: NodeSettings):
        """Build the controller, which compiles its planner, then the topics and services of `node`."""
        self._node, self._configuration, self._settings = node, configuration, settings
        check_feedback(robot, settings)
        with loading(LIBRARIES):  # none is left to be compiled in the control loop
            controller: Controller = build_controller(robot, configuration)
            supervisor = make_supervisor(robot, configuration)
        self.gates = InputGates.of(configuration, lockstep=settings.lockstep)
        self._input_clock = InputClock(
            node, self.gates.states, 1.0 / configuration.control.rate, lockstep=settings.lockstep
        )
        self._reporter = Reporter(node)
        self._outputs = NodeOutputs(
            node, robot, controller, supervisor, settings, rejected=self.gates.rejected, reporter=self._reporter
        )
        self._guard: GuardLink | None = None
        self.loop = self._control_loop(controller, supervisor)
        self._preparer = None if settings.lockstep else BackgroundWorker()  # of the motions along trajectories
        if self._preparer is not None:
            controller.joins.prepare_in(self._preparer.run)
        self._targets = TargetOutcomes(controller, self._reporter)
        self._guard = self._add_guard(supervisor)
        self._add_observers(robot)
        self._add_action()
        self._services = Services(node, self.loop, robot, settings.model_file, self._reporter)
        self._subscriptions = Subscriptions(
            node,
            self.loop,
            configuration,
            self.gates,
            self._targets,
            self._reporter,
            clock=self._input_clock,
            lockstep=settings.lockstep,
            largest_message=settings.largest_message,
        )
        realtime.settle_process(settings, self._warn)

    @property
    def running(self) -> bool:
        """Whether the control thread runs."""
        return self.loop.running

    def start(self, ended: Callable[[], bool]) -> bool:
        """Start the control thread; False, and it is not started, if the process is to end before the guard answers."""
        if self._guard is not None:
            self._guard.wait(GUARD_PATIENCE, ended)
        if ended():
            return False
        self._outputs.begin()
        self.loop.start()
        return True

    def stop(self) -> None:
        """Send the safe command, wait until it has reached its subscribers, and write the files."""
        self.loop.stop()
        self._outputs.end(LEAVING)

    def update_settings(self, configuration: Configuration) -> None:
        """Give changed dynamic settings to the controller."""
        controller = self.loop.controller
        before, after = controller.configuration.flat(), configuration.flat()
        self.loop.between_commands(
            "parameters",
            lambda: controller.update_settings(configuration),
            values={key: value for key, value in after.items() if value != before.get(key)},
        )

    def destroy(self) -> None:
        """Release topics, services and threads; the control thread must have ended."""
        self._subscriptions.close()
        if self._preparer is not None:
            self._preparer.close()
        self._services.destroy()
        self._outputs.destroy()
        self._reporter.destroy()
        self._input_clock.destroy()

    def _control_loop(self, controller: Controller, supervisor: Supervisor) -> ControlLoop:
        settings, control, robot = self._settings, self._configuration.control, controller.robot
        dt = 1.0 / control.rate
        clock = SystemClock(self._input_clock.age, self._input_clock.now, self._input_clock.stands)
        return ControlLoop(
            controller,
            supervisor,
            self._outputs,
            clock,
            dt=dt,
            timeout=control.state_timeout,
            lockstep=settings.lockstep,
            answer_after=settings.answer_after,
            frame_latency=control.feature_latency,
            shadow=settings.shadow and robot.interface == "effort",
            player=FeedbackPlayer(robot.n, dt, PLAN_VALIDITY * dt) if settings.player_rate else None,
            player_period=1.0 / settings.player_rate if settings.player_rate else None,
            keep_alive=bool(settings.guard),
            before_tick=self._look_at_guard,
            settle=lambda: realtime.settle_thread(settings, self._warn),
        )

    def _look_at_guard(self) -> None:
        if self._guard is not None:
            self._guard.before_tick()

    def _add_guard(self, supervisor: Supervisor) -> GuardLink | None:
        settings = self._settings
        if not settings.guard or settings.shadow:
            return None
        measure = Time.SIMULATED if self._node.get_parameter("use_sim_time").value else Time.WALL
        link = GuardLink(
            self._node,
            self.loop,
            supervisor,
            self._outputs.commands,
            settings.guard,
            state_timeout=self._configuration.control.state_timeout,
            measure=Time.LOCKSTEP if settings.lockstep else measure,
        )
        self._outputs.add(link)
        return link

    def _add_observers(self, robot: Robot) -> None:
        node, loop, settings, outputs = self._node, self.loop, self._settings, self._outputs
        controller, kinematics = loop.controller, Kinematics(robot)
        outputs.add(PlanDisplay(node, robot, controller, kinematics, settings.plan_rate))
        outputs.add(self._targets)
        outputs.add(TargetProgress(node, loop, self._targets, self._reporter, settings.progress_rate))
        outputs.add(Remarks(self._reporter))
        if loop.supervisor.collisions is not None:
            outputs.add(CollisionReport(loop.supervisor.collisions, self._reporter))
            outputs.add(ObstacleTopic(node, loop, robot, loop.supervisor.collisions, self._reporter))
        watch = CommandWatch(node, command_publisher.TOPIC, outputs.commands, self._input_clock, guard=settings.guard)
        if not settings.shadow:
            outputs.add(watch)
        gripper = self._add_gripper(robot)
        outputs.add(Diagnostics(node, loop, self.gates, self._targets, settings, watch, gripper))
        if isinstance(controller, PolicyController):
            outputs.add(PolicyInterface(node, controller, loop))
        if settings.log_file:
            outputs.add(
                TickTable(
                    settings.log_file,
                    robot,
                    controller,
                    loop.supervisor,
                    kinematics,
                    rejected=self.gates.rejected,
                    facts=self._facts,
                    reporter=self._reporter,
                )
            )
        if settings.transitions_file and controller.dynamics is not None:
            name = node.get_fully_qualified_name()
            outputs.add(
                TransitionFile(
                    settings.transitions_file, robot, controller.dynamics, name=name, reporter=self._reporter
                )
            )

    def _add_gripper(self, robot: Robot) -> GripperTopic | None:
        settings = self._settings
        if not settings.gripper_joints:
            return None
        reader = GripperReader(robot, settings.gripper_joints)
        if settings.shadow:  # nothing is commanded, neither the arm nor the gripper
            return None
        topic = GripperTopic(self._node, self.loop, reader, self._reporter, settings.largest_message)
        self._outputs.add(topic)
        return topic

    def _add_action(self) -> None:
        kind = trajectory_action.action_type()
        if kind is None:
            self._node.get_logger().info(
                f"control_msgs is not installed: there is no action ~/{trajectory_action.NAME}; trajectories come by "
                "~/target_trajectory, velocities of joints by ~/target_velocities"
            )
            return
        shadow = self._settings.shadow
        self._outputs.add(
            trajectory_action.TrajectoryAction(
                self._node, kind, self.loop, self._targets, self._reporter, shadow=shadow
            )
        )

    def _facts(self) -> dict[str, Any]:
        return {"events": self.loop.statistics.events, "rejected": {gate.stream: gate.rejected for gate in self.gates}}

    def _warn(self, text: str) -> None:
        self._node.get_logger().warning(text)
