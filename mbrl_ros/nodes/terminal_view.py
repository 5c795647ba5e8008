"""The node behind `mbrl top`: hears a controller, its robot and its guard, and draws them in a terminal.

It publishes nothing. A callback keeps the newest message; a frame is drawn at the terminal's own rate.
"""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String

from ..exceptions import RobotDescriptionError
from ..guard.messages import GuardMessageError
from ..guard.messages import read_status as read_guard_status
from ..messages.flat import flat_fields
from ..robots import sources, urdf
from ..runtime.event_log import shown_event
from ..view.terminal import SHOWN_MESSAGES, Board, Part, RateWindow, frame, limits_of
from . import qos
from .executor import EndRequest
from .status import read_status
from .target_progress import PROGRESS_VERSION
from .wall_timer import create_wall_timer

LONGEST_IN_TERMINAL = 300  # characters of a message
MOST_JOINTS_SHOWN = 200
SCREEN, SCREEN_BACK = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # another screen without a cursor, and back
CURSOR_HOME, CLEAR_LINE, CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
ONCE_AFTER = 1.2  # [s] after the first status, when `once` draws: the diagnostics come once a second


class TopNode(Node):
    """Keeps the newest of every topic in a `Board` and draws it every `period` [s], or with `once` a single time.

    With `once` the end is requested after the frame, with code 1 where no status came within `patience` [s].
    """

    def __init__(
        self,
        end: EndRequest,
        *,
        controller: str,
        guard: str,
        description: str = "",
        period: float = 0.5,
        once: bool = False,
        patience: float = 10.0,
        write: Callable[[str], Any] | None = None,
        **options: Any,
    ):
        super().__init__("mbrl_top", **options)
        self._end, self._period, self._once, self._patience = end, period, once, patience
        self._name = self.resolve_topic_name(controller.rstrip("/"))
        self._board, self._window = Board(self._name), RateWindow()
        self._came = {"status": -math.inf, "state": -math.inf, "guard": -math.inf}
        self._begun, self._first = time.monotonic(), math.inf
        self._terminal = sys.__stdout__ is not None and sys.__stdout__.isatty() and not once
        self._write = write or self._print
        if description:
            self._board.limits = limits_of(urdf.parse(sources.read(description)))
        name = controller.rstrip("/")
        newest = QoSProfile(depth=1)
        self.create_subscription(Float64MultiArray, f"{name}/status", self._on_status, qos.STATUS)
        self.create_subscription(Float64MultiArray, f"{name}/target_progress", self._on_progress, newest)
        self.create_subscription(String, f"{name}/supervisor_state", self._on_supervisor, qos.LATCHED)
        self.create_subscription(String, f"{name}/message", self._on_message, QoSProfile(depth=SHOWN_MESSAGES))
        self.create_subscription(String, f"{name}/event_log", self._on_event, qos.HISTORY)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.RELIABLE)
        self.create_subscription(JointState, "joint_states", self._on_states, qos.NEWEST)
        self.create_subscription(Float64MultiArray, f"{guard}/guard_status", self._on_guard, qos.LATCHED)
        self.create_subscription(String, "robot_description", self._on_description, qos.LATCHED)

    def begin(self) -> None:
        """Begin to draw."""
        if self._terminal:
            self._write(SCREEN)
        create_wall_timer(self, min(0.1, self._period) if self._once else self._period, self._draw)

    def end(self) -> None:
        """Give the terminal back."""
        if self._terminal:
            self._write(SCREEN_BACK)

    # --- drawing ------------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        now = time.monotonic()
        if self._once and now < min(self._begun + self._patience, self._first + ONCE_AFTER):
            return
        board = self._board
        board.rate, board.missed = self._window.rate, self._window.missed
        board.age, board.state_age, board.guard_age = (now - came for came in self._came.values())
        width, height = shutil.get_terminal_size((100, 50))
        lines = frame(board, width, height - 1 if self._terminal else 1000, color=self._terminal)
        if self._terminal:
            self._write(CURSOR_HOME + "".join(f"{line}{CLEAR_LINE}\n" for line in lines) + CLEAR_BELOW)
        else:
            self._write("\n".join(lines) + "\n\n"[: 1 if self._once else 2])
        if self._once:
            self._patience, self._first = math.inf, math.inf
            self._end.set(0 if board.status else 1)

    @staticmethod
    def _print(text: str) -> None:
        if sys.__stdout__ is not None:  # not sys.stdout: what is shown is printable, and the cursor is to move
            sys.__stdout__.write(text)
            sys.__stdout__.flush()

    # --- topics: a message that is not what it should be is left out --------------------------------------------------

    def _on_status(self, message: Float64MultiArray) -> None:
        try:
            values = read_status(message)
            self._window.add(values["stamp"], values["tick"], values["missed"])
        except (ValueError, KeyError):
            return
        self._board.status = values
        self._came["status"] = time.monotonic()
        self._first = min(self._first, self._came["status"])

    def _on_progress(self, message: Float64MultiArray) -> None:
        fields = flat_fields(message, PROGRESS_VERSION)
        if fields is not None:
            self._board.progress = fields

    def _on_supervisor(self, message: String) -> None:
        self._board.supervisor = message.data[:LONGEST_IN_TERMINAL].partition(" ")[2]  # without its number

    def _on_message(self, message: String) -> None:
        self._board.messages.append(message.data[:LONGEST_IN_TERMINAL])

    def _on_event(self, message: String) -> None:
        if text := shown_event(message.data):
            self._board.events.append(text[:LONGEST_IN_TERMINAL])

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            whose, _, part = status.name.partition(": ")
            if whose == self._name and part and len(self._board.diagnostics) < MOST_JOINTS_SHOWN:
                values = {entry.key: entry.value for entry in status.values}
                self._board.diagnostics[part] = Part(status.level[0], status.message[:LONGEST_IN_TERMINAL], values)

    def _on_states(self, message: JointState) -> None:
        if len(message.position) != len(message.name) or len(message.name) > MOST_JOINTS_SHOWN:
            return
        if not self._board.positions.keys() >= set(message.name):
            if len(self._board.positions) + len(message.name) > MOST_JOINTS_SHOWN:
                self._board.positions.clear()
        self._board.positions.update(zip(message.name, message.position, strict=True))
        if len(message.velocity) == len(message.name):
            self._board.velocities.update(zip(message.name, message.velocity, strict=True))
        self._came["state"] = time.monotonic()

    def _on_guard(self, message: Float64MultiArray) -> None:
        try:
            told = read_guard_status(message)
        except GuardMessageError:
            return
        self._board.guard = {
            "state": told.mode,
            "cause": told.cause[:LONGEST_IN_TERMINAL] or "none",
            "forwarded": str(told.forwarded),
            "refused": str(told.refused),
            "interventions": str(told.interventions),
        }
        self._came["guard"] = time.monotonic()

    def _on_description(self, message: String) -> None:
        try:
            self._board.limits = self._board.limits or limits_of(urdf.parse(message.data))
        except RobotDescriptionError as error:
            self._board.messages.append(f"robot_description: {error}"[:LONGEST_IN_TERMINAL])
