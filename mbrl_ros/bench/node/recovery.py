"""The services with which a user lets the controller continue after a long pause of the states."""

from __future__ import annotations

import time

from std_srvs.srv import Trigger

from .robot import RobotSide

ANSWER = 2.0  # [s] within which a controller that works answers a valid state
ATTEMPTS = 5  # to clear and resume: on a busy machine the states may be late again


class RecoveryServices:
    """Clients of the services that a user calls after a pause that was too long to continue by itself."""

    def __init__(self, robot: RobotSide):
        self._robot = robot
        self._clients = [robot.node.create_client(Trigger, f"mpc_node/{name}") for name in ("clear", "resume")]

    def call(self) -> None:
        """Call ~/clear and ~/resume."""
        for client in self._clients:
            future = client.call_async(Trigger.Request())
            deadline = time.monotonic() + ANSWER
            while not future.done() and time.monotonic() < deadline:
                time.sleep(0.005)

    def recover(self) -> bool:
        """Call them until the arm is commanded to move again; return whether it is."""
        for _ in range(ATTEMPTS):
            self.call()
            if self._robot.wait_until(self._robot.moves, ANSWER):
                return True
        return False
