"""Services of mpc_node. All are std_srvs/Trigger; `message` says what happened, or why it was refused.

Those of the supervisor are served by a node and a thread of their own, which wait for no file, parameter or other
service. So are those of the model, since reading a file may take long, and states must come in meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rclpy.node import Node
from rclpy.service import Service
from std_srvs.srv import Trigger

from ..dynamics.base import Estimator
from ..dynamics.checkpoint import content_hash, read_model, save_model
from ..exceptions import MbrlError
from ..robots import Robot
from ..runtime.control_loop import ControlLoop
from ..safety.state_machine import Request
from .executor import Spinner, companion
from .reporter import Reporter

SERVICE_PATIENCE = 2.0  # [s] for which the end of the process waits for a service
Outcome = tuple[bool, str]  # whether it was done, and what happened


class Services:
    """Serve ~/hold, ~/resume, ~/clear, ~/e_stop of the supervisor, ~/cancel, and those of the model."""

    def __init__(self, node: Node, loop: ControlLoop, robot: Robot, model_file: str, reporter: Reporter):
        self._node, self._loop, self._robot, self._model_file, self._reporter = node, loop, robot, model_file, reporter
        self._requests, self._models = (companion(node, name) for name in ("requests", "models"))
        for request in Request:
            self._serve(self._requests, request.name.lower(), self._requester(request))
        self._serve(self._requests, "cancel", self._cancel)
        self._serve(self._models, "reset_model", self._reset_model)
        self._serve(self._models, "save_model", self._save_model)
        self._serve(self._models, "load_model", self._load_model)
        self._spinners = [(part, Spinner(part)) for part in (self._requests, self._models)]

    def destroy(self) -> None:
        """Release the services and their threads, except one that is busy with a file."""
        for part, spinner in self._spinners:
            if spinner.stop(SERVICE_PATIENCE):
                part.destroy_node()

    def _serve(self, node: Node, name: str, action: Callable[[], Outcome]) -> Service:
        def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            try:
                response.success, response.message = action()
            except (MbrlError, OSError) as error:
                response.success, response.message = False, str(error)
            done = "done" if response.success else "refused"
            self._reporter.report(f"~/{name}: {done}; {response.message}", response.success)
            return response

        service: Service = node.create_service(Trigger, f"{self._node.get_fully_qualified_name()}/{name}", answer)
        return service

    def _requester(self, request: Request) -> Callable[[], Outcome]:
        def ask() -> Outcome:
            if not self._loop.running:
                return False, "the node is not active"
            granted, supervisor = self._loop.request(request), self._loop.supervisor
            text = f"the state is {supervisor.state.name}"
            if not granted:
                text += {
                    Request.CLEAR: "; its cause persists, or no state arrives",
                    Request.RESUME: "; clear it first (~/clear)",
                    Request.HOLD: "; clear it first (~/clear)",
                }.get(request, "")
            return granted, text

        return ask

    def _cancel(self) -> Outcome:
        if not self._loop.running:
            return False, "the node is not active"
        if refusal := self._loop.supervisor.refusal:
            return False, refusal
        self._loop.stop_motion()
        return True, "the arm comes to rest; targets that waited are forgotten"

    def _dynamics(self) -> Estimator:
        dynamics = self._loop.controller.dynamics
        if dynamics is None:
            raise MbrlError("this controller learns no model")
        return dynamics

    def _reset_model(self) -> Outcome:
        self._loop.between_commands("reset_model", self._dynamics().reset)
        return True, "everything learned was forgotten; the model is its prior"

    def _save_model(self) -> Outcome:
        dynamics, file = self._dynamics(), self._file()
        with self._loop.exclusive:
            evidence = dynamics.evidence()
        save_model(file, dynamics, self._robot, evidence)
        return True, f"written to {file}"

    def _load_model(self) -> Outcome:
        dynamics, file = self._dynamics(), self._file()
        evidence, hashed = read_model(file, dynamics, self._robot), content_hash(file)  # outside the control lock
        self._loop.between_commands(
            "load_model", lambda: dynamics.restore(evidence), file=str(Path(file).resolve()), sha256=hashed
        )
        return True, f"read from {file}"

    def _file(self) -> str:
        if not self._model_file:
            raise MbrlError("set the parameter model_file to a file name (.npz) first")
        return self._model_file
