"""mpc_node: joint states and features in, commands out, targets by topic. A lifecycle node that starts by itself.

    configure   robot description, controller (compiles), publishers and subscriptions
    activate    the control thread starts; it holds where the first state finds the robot, until a target comes
    deactivate  the safe command leaves, the thread ends, the log is written

mpc_assembly.py puts its parts together; doc/topics.md describes its topics and services, doc/parameters.md its
parameters.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Mapping
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_msgs.msg import String

from ..config.configuration import Configuration, section_types
from ..config.section import Section
from ..config.sections.nodes import NodeSettings
from ..config.sections.robot import RobotSettings
from ..exceptions import MbrlError, RobotDescriptionError
from ..robots import load_robot
from . import qos
from .child_process import end_with_parent
from .mpc_assembly import MpcAssembly
from .parameters import Parameters, ReadsOverrides
from .process import EndRequest, prefer_udp, run


class MpcNode(ReadsOverrides, LifecycleNode):
    """The lifecycle of the controller; its parts are a MpcAssembly between configure and cleanup."""

    def __init__(self, end: EndRequest, **options: Any):
        super().__init__("mpc_node", **options)
        self._end = end
        self.parameters = Parameters(self, {**section_types(), "": NodeSettings})
        self.parameters.on_change(self._on_change)
        if self.settings.end_with_parent:
            end_with_parent()
        self._description, self._described = "", threading.Event()
        self._assembly: MpcAssembly | None = None
        self.create_subscription(String, "robot_description", self._on_description, qos.LATCHED)

    @property
    def settings(self) -> NodeSettings:
        """Return the node's own settings."""
        return self.parameters.section(NodeSettings)

    # --- lifecycle ----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Configure and activate, if `autostart` says so; end the process if that fails."""
        if not self.settings.autostart:
            return
        if not self._has_description():
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
        """Send the safe command, whatever state the node is in."""
        if self._assembly is not None and self._assembly.running:
            self.trigger_deactivate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Build the controller and everything around it."""
        try:
            self._assembly = self._assemble()
        except MbrlError as error:
            self.get_logger().error(f"cannot configure: {error}")
            return TransitionCallbackReturn.FAILURE
        except Exception:  # rclpy would not report it
            self.get_logger().error(f"cannot configure:\n{traceback.format_exc()}")
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the control thread, unless the supervisor cannot keep the robot safe with this configuration."""
        assembly = self._assembly
        if assembly is None:
            return TransitionCallbackReturn.ERROR
        if assembly.loop.supervisor.unready:
            self.get_logger().error(f"cannot activate: {assembly.loop.supervisor.unready}")
            return TransitionCallbackReturn.FAILURE
        result = super().on_activate(state)
        assembly.start()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Send the safe command, end the control thread, write the files."""
        if self._assembly is not None:
            self._assembly.stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything that was configured."""
        self._clean_up()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Send the safe command and end the process."""
        if self._assembly is not None and self._assembly.running:
            self._assembly.stop()
        self._end.set()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Send the safe command and release everything that was configured."""
        if self._assembly is not None and self._assembly.running:
            self._assembly.loop.stop()
        self._clean_up()
        return TransitionCallbackReturn.SUCCESS

    # --- configuration ------------------------------------------------------------------------------------------

    def _has_description(self) -> bool:
        return bool(self.settings.robot_description or self.parameters.section(RobotSettings).description)

    def _assemble(self) -> MpcAssembly:
        settings, configuration = self.settings, Configuration.from_flat(self.parameters.flat())
        urdf = settings.robot_description or (None if self._has_description() else self._description)
        if urdf == "":
            raise RobotDescriptionError(
                "no robot description: set robot.description or the parameter robot_description, "
                "or publish the topic 'robot_description'"
            )
        robot = load_robot(configuration.robot, urdf)
        self.get_logger().info(
            f"{robot.n} joints {list(robot.joints)}, {robot.interface} interface, {configuration.control.rate:g} Hz; "
            "building the controller"
        )
        return MpcAssembly(self, robot, configuration, settings)

    def _clean_up(self) -> None:
        if self._assembly is not None:
            self._assembly.destroy()
            self._assembly = None

    def _on_change(self, sections: Mapping[str, Section]) -> None:
        if self._assembly is not None:
            self._assembly.update_settings(
                Configuration.from_sections({key: section for key, section in sections.items() if key})
            )

    def _on_description(self, message: String) -> None:
        self._description = message.data
        self._described.set()


def main(arguments: list[str] | None = None) -> int:
    """Run the node; return the exit code of the process."""
    prefer_udp()
    return run(MpcNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
