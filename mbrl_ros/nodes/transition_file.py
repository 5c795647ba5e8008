"""Record every transition that is learned from and write them (.npz) when the node is deactivated."""

from __future__ import annotations

from ..data.store import Owner
from ..data.transition_recorder import TransitionRecorder
from ..dynamics.base import Estimator
from ..exceptions import DataError
from ..robots import Robot
from .reporter import Reporter
from .tick_observer import TickObserver


class TransitionFile(TickObserver):
    """The transitions learned from between activation and deactivation, written to `path` for `mbrl fit-prior`."""

    def __init__(self, path: str, robot: Robot, dynamics: Estimator, *, name: str, reporter: Reporter):
        """Prepare to record; `name` is that of the run in the data set."""
        self._path, self._dynamics, self._name, self._reporter = path, dynamics, name, reporter
        self._owner = Owner(robot.joints, robot.interface, dynamics.dt)
        self._recorder = TransitionRecorder(self._owner)

    def begin(self) -> None:
        """Record from now on."""
        self._recorder = TransitionRecorder(self._owner)
        self._dynamics.show_transitions_to(self._recorder)

    def end(self) -> None:
        """Write the file."""
        try:
            self._recorder.dataset(self._name).save(self._path)
        except (OSError, DataError) as error:
            self._reporter.log("error", f"the transitions were not written: {error}")
