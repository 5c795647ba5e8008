"""mpc_node: joint states and features in, commands out, targets by topic. A lifecycle node that starts by itself.

    configure   robot description, controller (compiles), publishers and subscriptions
    activate    the control thread starts; it holds where it finds the robot, until a target comes
    deactivate  the safe command leaves, the thread ends, the log is written

mpc_assembly.py puts its parts together. See doc/topics.md and doc/parameters.md.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Mapping
from typing import Any

from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from std_msgs.msg import String

from ..config.configuration import Configuration, section_types
from ..config.required import missing_for_robot
from ..config.section import Section
from ..config.sections.nodes import NodeSettings
from ..config.sections.robot import RobotSettings
from ..exceptions import ConfigurationError, MbrlError, RobotDescriptionError
from ..messages.input_gate import Rejection
from ..robots import load_robot
from . import bounded
from .child_process import end_with_parent
from .executor import EndRequest
from .mpc_assembly import MpcAssembly
from .parameters import Parameters, ReadsOverrides
from .process import run
from .transitions import AnswersTransitions
from .transport import prefer_udp


class MpcNode(ReadsOverrides, AnswersTransitions):
    """The lifecycle of the controller; its parts are a MpcAssembly between configure and cleanup."""

    def __init__(self, end: EndRequest, **options: Any):
        super().__init__("mpc_node", **options)
        self._end, self._in_use = end, False  # whether settings are, or are about to be, in use
        self.parameters = Parameters(self, {**section_types(), "": NodeSettings}, lambda: self._in_use)
        self.parameters.on_change(self._on_change)
        if self.settings.end_with_parent:
            end_with_parent()
        self._description, self._described = "", threading.Event()
        self._built_from = ""  # the description of the topic that is in use; empty: that of a parameter
        self._assembly: MpcAssembly | None = None
        bounded.subscribe_description(self, self._on_description, self._on_too_large)

    @property
    def settings(self) -> NodeSettings:
        """Return the node's own settings."""
        return self.parameters.section(NodeSettings)

    # --- lifecycle ----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Configure and activate, if `autostart` says so; end the process if that fails."""
        if not self.settings.autostart:
            return
        self._require_settings()
        if not self._has_description():
            self.get_logger().info("waiting for the topic 'robot_description'")
            while not self._described.wait(0.1):
                if self._end.wait(0.0):
                    return
        if self.trigger_configure() is not TransitionCallbackReturn.SUCCESS:
            self._end.set(2)
        elif not self._end.wait(0.0):  # an end requested while the planner was compiled leaves the node inactive
            if self.trigger_activate() is not TransitionCallbackReturn.SUCCESS and not self._end.wait(0.0):
                self._end.set(2)

    def end(self) -> None:
        """Send the safe command, whatever state the node is in."""
        if self._assembly is not None and self._assembly.running:
            self.trigger_deactivate()

    def destroy_node(self) -> None:
        """Release everything, also what was only configured."""
        self._clean_up()
        super().destroy_node()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Build the controller and everything around it."""
        self._in_use, sections = True, self.parameters.sections
        try:
            self._assembly = self._assemble()
        except MbrlError as error:
            self.get_logger().error(f"cannot configure: {error}")
        except Exception:  # rclpy would not report it
            self.get_logger().error(f"cannot configure:\n{traceback.format_exc()}")
        if self._assembly is None:
            self._in_use = False
            return TransitionCallbackReturn.FAILURE
        if self.parameters.sections is not sections:  # dynamic ones changed in the meantime
            self._on_change(self.parameters.sections)
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
        return result if assembly.start(lambda: self._end.wait(0.0)) else TransitionCallbackReturn.FAILURE

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

    def _require_settings(self) -> None:
        """Raise ConfigurationError if something is not configured without which no command may go to a robot."""
        lockstep, shadow = self.settings.lockstep, self.settings.shadow
        if missing := missing_for_robot(self.parameters.given, commanded=not lockstep, shadow=shadow):
            raise ConfigurationError(missing)

    def _assemble(self) -> MpcAssembly:
        settings, configuration = self.settings, Configuration.from_flat(self.parameters.flat())
        self._require_settings()
        urdf = settings.robot_description or (None if self._has_description() else self._description)
        if urdf == "":
            raise RobotDescriptionError(
                "no robot description: set robot.description or the parameter robot_description, "
                "or publish the topic 'robot_description'"
            )
        self._built_from = "" if self._has_description() else self._description
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
        self._in_use = False

    def _on_change(self, sections: Mapping[str, Section]) -> None:
        if self._assembly is not None:
            named = {key: section for key, section in sections.items() if key}
            self._assembly.update_settings(Configuration.from_sections(named))

    def _on_description(self, message: String) -> None:
        self._description = message.data
        self._described.set()
        if self._in_use and self._built_from not in ("", message.data):
            self.get_logger().warning(
                "robot_description has changed; the node goes on with the one it was configured with "
                "(deactivate, clean up and configure it to use the new one)"
            )

    def _on_too_large(self, raw: bytes) -> None:
        self.get_logger().warning(bounded.too_large_description(raw))
        if self._assembly is not None:
            self._assembly.loop.statistics.events[f"{Rejection.TOO_LARGE.value}: robot_description"] += 1


def main(arguments: list[str] | None = None) -> int:
    """Run the node; return the exit code of the process."""
    prefer_udp()
    return run(MpcNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
