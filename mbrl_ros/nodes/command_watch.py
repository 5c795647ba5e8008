"""Watch who reads and who else publishes the commands, and whether they are executed, while the node is active.

A command that nobody reads moves nothing, a second publisher on the topic commands the robot too, and a simulator whose
time was set back may execute none. Each is a warning in the log, once until it is over, and in the diagnostics; it
takes two looks one after the other, since nodes that start or end are discovered one after the other.
"""

from __future__ import annotations

from rclpy.lifecycle import LifecycleNode
from rclpy.timer import Timer

from .command_publisher import CommandPublisher
from .command_readers import full_name, readers, resolved
from .input_clock import InputClock
from .tick_observer import TickObserver
from .wall_timer import create_wall_timer

LOOK_PERIOD = 0.5  # [s]
RESET = (
    "/clock was set back, and no joint state has come since: a simulator that was reset may execute no command either. "
    "End it and start it again"
)


class CommandWatch(TickObserver):
    """Look at the publishers and subscribers of `topic`; `problems` names what is wrong at present."""

    def __init__(
        self, node: LifecycleNode, topic: str, commands: CommandPublisher, clock: InputClock, *, guard: str = ""
    ):
        """Watch the `topic` of `commands`; `guard`: the node that publishes on it too, empty without one."""
        self._node, self._topic = node, node.resolve_topic_name(topic)
        self._commands, self._clock = commands, clock
        self._own = [node.get_fully_qualified_name()]
        if guard:
            self._own.append(resolved(node, guard))
        self._before: frozenset[str] = frozenset()
        self._timer: Timer | None = None
        self.problems: frozenset[str] = frozenset()
        self.readers = 0

    @property
    def ready(self) -> bool:
        """Whether a state would be answered: the controller that executes commands is known, and the clock runs."""
        return self._commands.order is not None and self._clock.started

    def begin(self) -> None:
        """Start looking: the node becomes active."""
        self._before = self.problems = frozenset()
        self._timer = create_wall_timer(self._node, LOOK_PERIOD, self._look)

    def end(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None

    def _look(self) -> None:
        found = set()
        topics = [self._node.resolve_topic_name(topic) for topic in self._commands.topics]
        self.readers = sum(len(readers(self._node, topic, self._own)) for topic in topics)
        named = " or ".join(f"'{topic}'" for topic in topics)
        if not self.readers:
            found.add(f"nobody reads the commands on {named}: the robot does not move")
        elif self._commands.order is None:
            found.add("no command leaves: the joints and the interface of the controller that reads them are not known")
        publishers = self._node.get_publishers_info_by_topic(self._topic)
        names = [full_name(entry) for entry in publishers]
        for own in self._own:
            if own in names:
                names.remove(own)  # once: a second node of the same name is another publisher
        if names:
            found.add(
                f"'{self._topic}' has another publisher, which commands the robot too: {', '.join(sorted(names))}"
            )
        if self._clock.set_back:
            found.add(RESET)
        lasting = frozenset(found) & self._before
        for problem in sorted(lasting - self.problems):
            self._node.get_logger().warning(problem)
        self.problems, self._before = lasting, frozenset(found)
