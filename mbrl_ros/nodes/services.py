"""mpc_node's services. All are std_srvs/Trigger; `message` says what happened, or why it did not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rclpy.node import Node
from std_srvs.srv import Trigger

from ..dynamics.checkpoint import content_hash, load_model, save_model
from ..exceptions import MbrlError
from ..robots import Robot
from ..runtime.control_loop import ControlLoop
from ..safety.state_machine import Request


class Services:
    """~/hold, ~/resume, ~/clear, ~/e_stop for the supervisor; ~/reset_model, ~/save_model, ~/load_model for the model."""

    def __init__(self, node: Node, loop: ControlLoop, robot: Robot, model_file: str, tell: Callable[[str, bool], None]):
        """tell(text, done) is told what came of every call."""
        self._node, self._loop, self._robot, self._model_file, self._tell = node, loop, robot, model_file, tell
        actions = {
            "reset_model": self._reset_model,
            "save_model": self._save_model,
            "load_model": self._load_model,
            **{request.name.lower(): lambda request=request: self._request(request) for request in Request},
        }
        self._created = [
            node.create_service(Trigger, f"~/{name}", self._callback(name, action)) for name, action in actions.items()
        ]

    def destroy(self) -> None:
        for service in self._created:
            self._node.destroy_service(service)

    def _callback(self, name: str, action):
        def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            try:
                response.success, response.message = action()
            except (MbrlError, OSError) as error:
                response.success, response.message = False, str(error)
            self._tell(f"~/{name}: {'done' if response.success else 'refused'}; {response.message}", response.success)
            return response

        return answer

    def _request(self, request: Request) -> tuple[bool, str]:
        if not self._loop.running:
            return False, "the node is not active"
        granted, supervisor = self._loop.request(request), self._loop.supervisor
        text = f"the state is {supervisor.state.name}"
        if not granted:
            text += {
                Request.CLEAR: "; its cause lasts, or no state comes in",
                Request.RESUME: "; clear it first (~/clear)",
                Request.HOLD: "; clear it first (~/clear)",
            }.get(request, "")
        return granted, text

    def _dynamics(self):
        dynamics = getattr(self._loop.controller, "dynamics", None)
        if dynamics is None:
            raise MbrlError("this controller learns no model")
        return dynamics

    def _reset_model(self) -> tuple[bool, str]:
        self._loop.outside("reset_model", self._dynamics().reset)
        return True, "the model knows its prior and nothing else"

    def _save_model(self) -> tuple[bool, str]:
        dynamics, file = self._dynamics(), self._file()
        with self._loop.exclusive:
            evidence = dynamics.evidence()
        save_model(file, dynamics, self._robot, evidence)
        return True, f"written to {file}"

    def _load_model(self) -> tuple[bool, str]:
        dynamics, file = self._dynamics(), self._file()
        self._loop.outside(
            "load_model",
            lambda: load_model(file, dynamics, self._robot),
            file=str(Path(file).resolve()),
            sha256=content_hash(file),
        )
        return True, f"read from {file}"

    def _file(self) -> str:
        if not self._model_file:
            raise MbrlError("set the parameter model_file to a file name (.npz) first")
        return self._model_file
