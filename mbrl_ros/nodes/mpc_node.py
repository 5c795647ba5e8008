"""mpc_node: joint states and features in, commands out, targets by topic. A lifecycle node that starts by itself.

    configure   robot description, controller (compiles), publishers and subscriptions
    activate    the control thread starts; it holds where the first state finds the robot, until a target comes
    deactivate  the safe command leaves, the thread ends, the log is written

doc/topics.md and doc/parameters.md describe every topic, service and parameter; subscriptions.py, outputs.py and services.py hold them.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback

from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from std_msgs.msg import String

from ..config.configuration import Configuration, section_types
from ..config.sections.nodes import NodeSettings
from ..controllers.pid import build_controller
from ..controllers.policy import PolicyController
from ..exceptions import MbrlError, RobotDescriptionError
from ..robots import load_robot
from ..runtime.control_loop import ControlLoop
from ..runtime.feedback_player import PLAN_VALIDITY, FeedbackPlayer
from ..safety.supervisor import Supervisor
from . import qos, realtime
from .child_process import end_with_parent
from .outputs import NodeOutputs
from .parameters import Parameters
from .policy_interface import PolicyInterface
from .process import EndRequest, prefer_udp, run
from .services import Services
from .subscriptions import Subscriptions

LEAVING = Duration(seconds=1.0)  # how long the safe command is given to reach its readers


class MpcNode(LifecycleNode):
    """Puts the parts together; control happens in ControlLoop, the controller and the supervisor."""

    def __init__(self, end: EndRequest, **options):
        super().__init__("mpc_node", automatically_declare_parameters_from_overrides=True, **options)
        self._end = end
        self.parameters = Parameters(self, {**section_types(), "": NodeSettings})
        self.parameters.on_change(self._settings_changed)
        if self.settings.end_with_parent:
            end_with_parent()
        self._description, self._described = "", threading.Event()
        self._loop: ControlLoop | None = None
        self.create_subscription(String, "robot_description", self._on_description, qos.LATCHED)

    @property
    def settings(self) -> NodeSettings:
        return self.parameters.sections[""]

    # --- lifecycle ----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Configure and activate, if that is wanted; ends the process if it fails."""
        if not self.settings.autostart:
            return
        if not self._own_description():
            self.get_logger().info("waiting for the topic 'robot_description'")
            while not self._described.wait(0.1):
                if self._end.wait(0.0):
                    return
        if (
            self.trigger_configure() is not TransitionCallbackReturn.SUCCESS
            or self.trigger_activate() is not TransitionCallbackReturn.SUCCESS
        ):
            self._end.set(2)

    def end(self) -> None:
        """The safe command leaves, whatever state the node is in."""
        if self._loop is not None and self._loop.running:
            self.trigger_deactivate()

    def on_configure(self, state) -> TransitionCallbackReturn:
        try:
            self._configure()
        except MbrlError as error:
            self.get_logger().error(f"cannot configure: {error}")
            return TransitionCallbackReturn.FAILURE
        except Exception:  # rclpy would swallow it without a word
            self.get_logger().error(f"cannot configure:\n{traceback.format_exc()}")
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def on_activate(self, state) -> TransitionCallbackReturn:
        if self._loop.supervisor.unready:
            self.get_logger().error(f"cannot activate: {self._loop.supervisor.unready}")
            return TransitionCallbackReturn.FAILURE
        result = super().on_activate(state)
        self._outputs.begin()
        self._loop.start()
        return result

    def on_deactivate(self, state) -> TransitionCallbackReturn:
        self._loop.stop()
        self._outputs.end(LEAVING)
        return super().on_deactivate(state)

    def on_cleanup(self, state) -> TransitionCallbackReturn:
        self._clean_up()
        return super().on_cleanup(state)

    def on_shutdown(self, state) -> TransitionCallbackReturn:
        if self._loop is not None and self._loop.running:
            self._loop.stop()
            self._outputs.end(LEAVING)
        self._end.set()
        return super().on_shutdown(state)

    def on_error(self, state) -> TransitionCallbackReturn:
        if self._loop is not None and self._loop.running:
            self._loop.stop()
        self._clean_up()
        return TransitionCallbackReturn.SUCCESS

    # --- configuration ------------------------------------------------------------------------------------------

    def _own_description(self) -> bool:
        return bool(self.settings.robot_description or self.parameters.sections["robot"].description)

    def _configure(self) -> None:
        settings, configuration = self.settings, Configuration.from_flat(self.parameters.flat())
        urdf = settings.robot_description or (None if self._own_description() else self._description)
        if urdf == "":
            raise RobotDescriptionError(
                "no robot description: set robot.description or the parameter robot_description, "
                "or publish the topic 'robot_description'"
            )
        robot, control = load_robot(configuration.robot, urdf), configuration.control
        self.get_logger().info(
            f"{robot.n} joints {list(robot.joints)}, {robot.interface} interface, {control.rate:g} Hz; "
            "building the controller"
        )
        controller, dt = build_controller(robot, configuration), 1.0 / control.rate
        self._outputs = NodeOutputs(self, robot, controller, settings)
        self._inputs = Subscriptions(
            self, robot, controller, configuration, lockstep=settings.lockstep, tell=self._outputs.tell
        )
        simulated = self.get_parameter("use_sim_time").value
        self._loop = self._inputs.loop = self._outputs.loop = ControlLoop(
            controller,
            Supervisor(robot, configuration.supervisor, dt),
            self._outputs,
            dt=dt,
            timeout=control.state_timeout,
            age=self._inputs.age,
            lockstep=settings.lockstep,
            answer_after=settings.answer_after,
            frame_latency=control.feature_latency,
            shadow=settings.shadow and robot.interface == "effort",
            player=FeedbackPlayer(robot.n, dt, PLAN_VALIDITY * dt) if settings.player_rate else None,
            player_period=1.0 / settings.player_rate if settings.player_rate else None,
            clock=self._simulated_time if simulated else time.perf_counter,
            settle=lambda: realtime.settle_thread(settings, self._warn),
        )
        self._outputs.gates = (self._inputs.states, self._inputs.features)
        self._policy = None
        if isinstance(controller, PolicyController):
            self._policy = self._outputs.policy = PolicyInterface(self, controller, self._loop)
        self._triggers = Services(self, self._loop, robot, settings.model_file, self._outputs.tell)
        self._inputs.begin()
        realtime.settle_process(settings, self._warn)

    def _clean_up(self) -> None:
        if self._loop is not None:
            self._inputs.end()
            self._triggers.destroy()
            if self._policy is not None:
                self._policy.destroy()
            self._outputs.destroy()
            self._loop = None

    def _settings_changed(self, sections) -> None:
        if self._loop is not None:
            configuration = Configuration.from_sections({key: section for key, section in sections.items() if key})
            before, after = self._loop.controller.configuration.flat(), configuration.flat()
            self._loop.outside(
                "parameters",
                lambda: self._loop.controller.update_settings(configuration),
                values={key: value for key, value in after.items() if value != before.get(key)},
            )

    def _on_description(self, message: String) -> None:
        self._description = message.data
        self._described.set()

    def _simulated_time(self) -> float:
        return 1e-9 * self.get_clock().now().nanoseconds

    def _warn(self, text: str) -> None:
        self.get_logger().warning(text)


def main(arguments: list[str] | None = None) -> int:
    prefer_udp()
    return run(MpcNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
