r"""The stage parameters p (H+1, np) of the cost, for each kind of target.

Each kind has only the costs that belong to it: a point target has no image cost. The joint cost keeps a share w of its
weight then, `reference.posture` or `reference.posture_in_image`. With J = dp/dq of the end effector the Hessian over
the joints is

    w_point J^T J + w w_joint I

and with the weight w_speed on speeds a direction of which J has the singular value sigma is approached with the time
constant sqrt(w_speed / (w_point sigma^2 + w w_joint)) or more: near a singular posture w decides. For a point the share
may be large, because the joint reference itself leads to the point: both costs have their minimum there. The image
coordinates that belong to the joint reference are not known; it rests, and with a large share the features would not
reach their target.

With a point `null_space` tracks the posture where it has no part in where the point is, if it has a weight.

References are written in every tick in which they move, weights when they change.
"""

from __future__ import annotations

import numpy as np

from ..config.sections.references import ReferenceSettings
from ..costs import CostModel
from ..references.preview import TRACKING, Preview
from ..references.target_manager import TargetManager
from ..types import Array, StageParameters

PREVIEW_KINDS = ("joints", "point", "features")
# {cost: what of a preview it tracks}
REFERENCES = {"joint_target": "q", "null_space": "q", "point_target": "p", "feature_target": "s"}
PLACED = ("point_target", "collision", "null_space", "manipulability")  # depend on joints that are not controlled


class CostParameters:
    """The parameters of `cost` for a horizon of H stages of `dt` [s], with the joint cost's shares of `settings`."""

    def __init__(self, cost: CostModel, horizon: int, dt: float, settings: ReferenceSettings):
        self._cost, self._horizon, self._ahead = cost, horizon, dt * np.arange(horizon + 1.0)
        shares = {"joints": 1.0, "point": settings.posture, "features": settings.posture_in_image}
        self._parameters = {kind: self._of_kind(kind, shares[kind]) for kind in PREVIEW_KINDS}
        layout = cost.layout
        of = {name: layout.get(f"{name}.reference") for name in REFERENCES}
        self._references = [(columns, REFERENCES[name]) for name, columns in of.items() if columns is not None]
        self._placed = [layout[f"{name}.uncontrolled"] for name in PLACED if f"{name}.uncontrolled" in layout]
        self._change_factor = 1.0
        # of references that rest: at what, the same objects in every tick, and their parameters
        self._rest: tuple[object, object, object] = (None, None, None)
        self._resting: StageParameters | None = None

    def following(self, manager: TargetManager, start: float) -> StageParameters:
        """Return p (H+1, np) with the references of `manager` from `start` [s] on; see `at`."""
        rest = manager.joints.rests_from(start) if manager.phase is TRACKING else None
        if rest is None:
            self._resting = None
            return self.at(manager.preview(start + self._ahead))
        resting, uncontrolled, target = self._rest
        if (
            self._resting is None
            or rest is not resting
            or manager.uncontrolled is not uncontrolled
            or manager.target is not target
        ):
            self._rest = rest, manager.uncontrolled, manager.target
            self._resting = self.at(manager.preview(start + self._ahead))
        return self._resting

    def at(self, preview: Preview) -> StageParameters:
        """Return p (H+1, np) with the references of `preview` (H+1 stages); valid until the next call."""
        parameters, tracked = self._parameters[preview.kind], {"q": preview.q, "p": preview.p, "s": preview.s}
        for columns, name in self._references:
            reference = tracked[name]
            if reference is not None:
                parameters[:, columns] = reference
        if preview.uncontrolled is not None:
            for columns in self._placed:
                parameters[:, columns] = preview.uncontrolled
        return parameters

    def weigh_changes(self, factor: float) -> None:
        """Multiply the weight of the command's change by `factor`, compared with the settings."""
        columns = self._cost.layout.get("command_change.weight")
        if columns is not None and factor != self._change_factor:
            self._change_factor = factor
            usual = self._cost.parameters(self._horizon)[:, columns]
            for parameters in self._parameters.values():
                parameters[:, columns] = factor * usual

    @property
    def shapes_changes(self) -> bool:
        """Whether there is a cost of the command's change."""
        return "command_change.shape" in self._cost.layout

    def shape_changes(self, triangle: Array) -> None:
        """Weigh the command's change by L^T L; `triangle`: as of costs/command_change.py `shape`."""
        columns = self._cost.layout["command_change.shape"]
        for parameters in self._parameters.values():
            parameters[:, columns] = triangle

    def _of_kind(self, kind: str, share: float) -> StageParameters:
        parameters, layout = self._cost.parameters(self._horizon), self._cost.layout
        for cost in ("point_target", "null_space"):
            if kind != "point" and f"{cost}.weight" in layout:
                parameters[:, layout[f"{cost}.weight"]] = 0.0
        if kind != "features" and "feature_target.weight" in layout:
            parameters[:, layout["feature_target.weight"]] = 0.0
        if "joint_target.weight" in layout:
            parameters[:, layout["joint_target.weight"]] *= share
        return parameters
