"""mpc_node: joint states and features in, commands out, targets by topic. A lifecycle node that starts by itself.

    configure   robot description, controller (compiles), publishers and subscriptions
    activate    the control thread starts; it holds where the first state finds the robot, until a target comes
    deactivate  the safe command leaves, the thread ends, the log is written

Subscribes joint_states, features, features_vector, ~/target_joints, ~/target_point, ~/target_features; publishes
commands (or ~/shadow_commands), ~/plan, ~/status, /diagnostics. README.md describes each with its QoS.
"""

from __future__ import annotations

import gc
import sys
import threading
import traceback

from geometry_msgs.msg import PointStamped
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState, PointCloud2
from std_msgs.msg import Float64MultiArray, String

from ..configuration import Configuration, section_types
from ..exceptions import MbrlError, RobotDescriptionError
from ..inputs import InputGate
from ..pid import build_controller
from ..robots import load_robot
from ..supervisor import Supervisor
from . import messages
from .control_loop import Arrival, ControlLoop
from .outputs import NodeOutputs
from .parameters import Parameters
from .process import EndRequest, run
from .settings import NodeSettings

RELIABLE = QoSProfile(depth=10)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
NEWEST = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
EVERY = QoSProfile(depth=50)
LEAVING = Duration(seconds=1.0)  # how long the safe command is given to reach its readers
SWITCH_INTERVAL = 0.0005  # [s]: a thread that computes gives way to the control thread within this


class MpcNode(LifecycleNode):
    """Converts, times and publishes; control happens in ControlLoop, the controller and the supervisor."""

    def __init__(self, end: EndRequest, **options):
        super().__init__("mpc_node", automatically_declare_parameters_from_overrides=True, **options)
        self._end = end
        self.parameters = Parameters(self, {**section_types(), "": NodeSettings})
        self.parameters.on_change(self._settings_changed)
        self._description, self._described = "", threading.Event()
        self._loop: ControlLoop | None = None
        self.create_subscription(String, "robot_description", self._on_description, LATCHED)

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
        if (self.trigger_configure() is not TransitionCallbackReturn.SUCCESS
                or self.trigger_activate() is not TransitionCallbackReturn.SUCCESS):
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
        result = super().on_activate(state)
        self._outputs.begin()
        self._loop.start()
        return result

    def on_deactivate(self, state) -> TransitionCallbackReturn:
        self._loop.stop()
        self._outputs.end(LEAVING)
        return super().on_deactivate(state)

    def on_cleanup(self, state) -> TransitionCallbackReturn:
        for subscription in self._subscribed:
            self.destroy_subscription(subscription)
        self._outputs.destroy()
        self._loop = None
        return super().on_cleanup(state)

    def on_error(self, state) -> TransitionCallbackReturn:
        self.end()
        return TransitionCallbackReturn.SUCCESS

    # --- configuration ------------------------------------------------------------------------------------------

    @property
    def settings(self) -> NodeSettings:
        return self.parameters.sections[""]

    def _own_description(self) -> bool:
        return bool(self.settings.robot_description or self.parameters.sections["robot"].description)

    def _configure(self) -> None:
        configuration = Configuration.from_flat(self.parameters.flat())
        urdf = self.settings.robot_description or (None if self._own_description() else self._description)
        if urdf == "":
            raise RobotDescriptionError("no robot description: set robot.description or the parameter robot_description, "
                                        "or publish the topic 'robot_description'")
        robot = self.robot = load_robot(configuration["robot"], urdf)
        control = configuration["control"]
        self.get_logger().info(f"{len(robot.joints)} joints {list(robot.joints)}, {robot.interface} interface, "
                               f"{control.rate:g} Hz; building the controller")
        self.controller = build_controller(robot, configuration)
        supervisor = Supervisor(robot, configuration["supervisor"], 1.0 / control.rate)
        clock = "stamps" if self.settings.lockstep else control.stamp_clock
        self._states = InputGate("joint_states", timeout=control.state_timeout, clock=clock)
        self._features = InputGate("features", timeout=configuration["features"].timeout, clock=clock)
        self._joint_reader = messages.JointStateReader(robot, self._states, missing_velocity=control.missing_velocity,
                                                       cutoff=control.velocity_cutoff)
        self._feature_reader = messages.FeatureReader(configuration["features"].points, self._features)
        self._target_order = messages.JointOrder(robot.joints)
        self._outputs = NodeOutputs(self, robot, self.controller, self.settings, (self._states, self._features))
        self._loop = ControlLoop(self.controller, supervisor, self._outputs, dt=1.0 / control.rate,
                                 timeout=control.state_timeout, lockstep=self.settings.lockstep,
                                 frame_latency=control.feature_latency,
                                 shadow=self.settings.shadow and robot.interface == "effort")
        self._outputs.loop, self._feature_latency = self._loop, control.feature_latency
        states = EVERY if self.settings.lockstep else NEWEST
        self._feature_subscription = self.create_subscription(PointCloud2, "features", self._on_features, states)
        self._subscribed = [
            self._feature_subscription,
            self.create_subscription(JointState, "joint_states", self._on_joint_states, states),
            self.create_subscription(Float64MultiArray, "features_vector", self._on_feature_vector, states),
            self.create_subscription(JointState, "~/target_joints", self._on_target_joints, RELIABLE),
            self.create_subscription(PointStamped, "~/target_point", self._on_target_point, RELIABLE),
            self.create_subscription(PointCloud2, "~/target_features", self._on_target_features, RELIABLE)]
        gc.collect()
        gc.freeze()  # a full collection would take 100 ms, in the middle of some tick
        sys.setswitchinterval(SWITCH_INTERVAL)

    def _settings_changed(self, sections) -> None:
        if self._loop is not None:
            configuration = Configuration({key: section for key, section in sections.items() if key})
            self._loop.call(lambda: self.controller.update_settings(configuration))

    # --- inputs, in the executor's thread -------------------------------------------------------------------------

    def _now(self) -> float:
        return 1e-9 * self.get_clock().now().nanoseconds

    def _on_description(self, message: String) -> None:
        self._description = message.data
        self._described.set()

    def _on_joint_states(self, message: JointState) -> None:
        received = self._loop.clock()
        if self.settings.lockstep:
            self._drain_features()
        duplicates = self._states.rejected["duplicate stamp"]
        result = self._joint_reader.read(message, self._now())
        if result is not None:
            observation, effort, restarted = result
            self._newest_stamp, self._newest_received = observation.stamp, received
            self._loop.offer(Arrival(observation, received, effort, restarted))
        elif self._states.rejected["duplicate stamp"] > duplicates:
            self._loop.repeat_command()

    def _drain_features(self) -> None:
        """Take every feature frame that was sent before this state, so that lockstep does not depend on threads."""
        with self._feature_subscription.handle:
            while (taken := self._feature_subscription.handle.take_message(PointCloud2, False)) is not None:
                self._on_features(taken[0])

    def _on_features(self, message: PointCloud2) -> None:
        frame = self._feature_reader.read_cloud(message, self._now())
        if frame is not None:
            self._loop.offer_frame(frame)

    def _on_feature_vector(self, message: Float64MultiArray) -> None:
        if self._states.accepted:
            since = self._loop.clock() - self._newest_received if not self.settings.lockstep else 0.0
            stamp = self._newest_stamp + since - self._feature_latency
            frame = self._feature_reader.read_vector(message, stamp, self._now())
            if frame is not None:
                self._loop.offer_frame(frame)

    def _on_target_joints(self, message: JointState) -> None:
        self._accept_target(message, lambda: self.controller.set_joint_target(
            messages.read_joint_target(message, self._target_order), messages.seconds(message.header.stamp)))

    def _on_target_point(self, message: PointStamped) -> None:
        self._accept_target(message, lambda: self.controller.set_point_target(
            messages.read_point_target(message, self.robot.root), messages.seconds(message.header.stamp)))

    def _on_target_features(self, message: PointCloud2) -> None:
        self._accept_target(message, lambda: self.controller.set_feature_target(
            messages.read_feature_target(message), messages.seconds(message.header.stamp)))

    def _accept_target(self, message, accept) -> None:
        try:
            accept()
        except MbrlError as error:
            self._outputs.refused(str(error))


def main(arguments: list[str] | None = None) -> int:
    return run(MpcNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
