"""Answer a lifecycle transition that is refused: rclpy raises an exception instead, and its caller waits for ever."""

from __future__ import annotations

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn


class AnswersTransitions(LifecycleNode):
    """A lifecycle node that answers FAILURE to a transition which its present state does not allow."""

    def _LifecycleNodeMixin__change_state(self, transition_id: int) -> TransitionCallbackReturn:
        """Change the state, or refuse; rclpy's service and its trigger_* methods all come here (rclpy, lifecycle)."""
        state = self._state_machine.current_state[1]
        try:
            return super()._LifecycleNodeMixin__change_state(transition_id)  # type: ignore[misc]  # rclpy's own name
        except rclpy_implementation.RCLError:
            self.get_logger().warning(f"transition {transition_id} refused: the state '{state}' does not allow it")
            return TransitionCallbackReturn.FAILURE
