r"""Image servos to compare with: the literature's laws for a marker s (2,) in the image and joints q (n,).

    qd = -lambda G^+ (s - s*),      s, s* in half image widths, G (2, n) the image Jacobian,

with G^+ the damped pseudo-inverse. Where G comes from is what distinguishes them:

broyden      G <- G + (ds - G dq) dq^T / (dq^T dq) of two images (Jagersand, Fuentes, Nelson, ICRA 1997)
rls          recursive least squares with forgetting (Hosoda, Asada, IROS 1994; Piepmeier, McMurray, Lipkin 2004)
calibrated   G = L(s, Z) R^T J_p(q): the interaction matrix of a point (Chaumette, Hutchinson, IEEE RAM 2006) with the
             kinematics of the arm and the pose of the camera before the bump, which it alone is told

The first two begin with a test motion of every joint, from which least squares give their first G. A command of joint
velocities keeps to the share of the velocity limits that references keep to, to an acceleration, and to the joints'
limits. An image's joints are those at its exposure; while the marker is not seen the arm slows down to rest.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from ...config.sections.simulation import CameraSettings
from ...robots import Robot
from ...robots.kinematics import Kinematics
from ...simulation.camera import CameraPose
from ...types import Array, FeatureFrame
from .scenario import image_jacobian

SERVO_METHODS = ("broyden", "rls", "calibrated")
SERVO_GAIN = 2.0  # lambda [1/s]
SERVO_DAMPING = 0.05  # of the largest singular value of G V, V the velocity limits
TEST_MOTION, TEST_TIME = 0.05, 0.25  # [rad or m] of every joint there and back; [s]
SERVO_SPEED = 0.5  # of the velocity limits
SERVO_SPEED_UP = 0.25  # [s] from rest to that share
SERVO_BASELINE = 0.1  # [s] between the images of a pair
SERVO_LEAST_MOTION = 2e-3  # [rad or m] between them, below which nothing is learned
SERVO_FORGETTING, SERVO_SPREAD, SERVO_NOISE = 0.95, 2.0, 0.004  # as the defaults of features.*
SERVO_UNSEEN = 0.25  # [s] without the marker until the arm comes to rest
SERVO_MARGIN = 0.02  # [rad or m] from a joint's limit


class ImageServo:
    """One of the laws, at a control period `dt` [s]; `method` as above."""

    def __init__(
        self,
        robot: Robot,
        dt: float,
        method: str,
        *,
        gain: float = SERVO_GAIN,
        camera: CameraSettings | None = None,
        pose: CameraPose | None = None,
    ):
        """`robot`'s end effector is the marker; `camera` and `pose` are the calibrated law's."""
        self._robot, self._dt, self._method, self._gain = robot, dt, method, gain
        self._kinematics = Kinematics(robot)
        self._camera, self._pose = camera, pose
        self._fastest = SERVO_SPEED * robot.velocity_limit
        self._joints: deque[tuple[float, Array]] = deque(maxlen=512)
        self._images: deque[tuple[float, Array, Array]] = deque(maxlen=32)
        self._S, self._C = np.zeros((robot.n, robot.n)), np.zeros((robot.n, 2))
        self.G = np.zeros((2, robot.n))
        self._qd = np.zeros(robot.n)
        self._begun: float | None = None

    def command(self, stamp: float, q: Array, frames: tuple[FeatureFrame, ...], target: Array | None) -> Array:
        """Return the joints' velocities (n,) at `stamp` [s] for q (n,), new frames and the target (2,), if any."""
        self._joints.append((stamp, q.copy()))
        for frame in frames:
            if frame.confidence[0] >= 0.5:
                self._learn(frame)
        wanted = np.zeros(q.size)
        if target is not None:
            self._begun = stamp if self._begun is None else self._begun
            wanted = self._wanted(stamp, q, target)
        return self._limited(q, wanted)

    def _wanted(self, stamp: float, q: Array, target: Array) -> Array:
        since = stamp - (stamp if self._begun is None else self._begun)
        if self._method != "calibrated" and since < TEST_TIME * q.size:
            return self._test_motion(since)
        if not self._images or stamp - self._images[-1][0] > SERVO_UNSEEN:
            return np.zeros(q.size)
        s = self._images[-1][1]
        G = self._calibrated(q) if self._method == "calibrated" else self.G
        scaled = G * self._fastest
        left, values, right = np.linalg.svd(scaled, full_matrices=False)
        damped = values / (values**2 + (SERVO_DAMPING * values[0]) ** 2) if values[0] > 0.0 else np.zeros(2)
        qd: Array = -self._gain * self._fastest * (right.T @ (damped * (left.T @ (s - target))))
        return qd

    def _test_motion(self, since: float) -> Array:
        """Return velocities (n,) that move one joint after the other there and back, as a full period of a sine."""
        joint, phase = int(since / TEST_TIME), since % TEST_TIME / TEST_TIME
        qd = np.zeros(self._robot.n)
        size = min(np.pi * TEST_MOTION / TEST_TIME, self._fastest[joint])
        qd[joint] = size * np.sin(2.0 * np.pi * phase)
        return qd

    def _calibrated(self, q: Array) -> Array:
        """Return G (2, n) from the calibration."""
        assert self._pose is not None and self._camera is not None
        return image_jacobian(self._kinematics.position(q), self._kinematics.jacobian(q), self._pose, self._camera)

    def _learn(self, frame: FeatureFrame) -> None:
        q = self._joints_at(frame.stamp)
        if q is None:
            return
        s = frame.points[:2].copy()
        earlier = next(
            (entry for entry in reversed(self._images) if entry[0] <= frame.stamp - SERVO_BASELINE + 1e-6), None
        )
        self._images.append((frame.stamp, s, q))
        if earlier is None or self._method == "calibrated" or self._begun is None:
            return
        dq, ds = q - earlier[2], s - earlier[1]
        if np.abs(dq).max() < SERVO_LEAST_MOTION:
            return
        testing = frame.stamp - self._begun <= TEST_TIME * q.size
        if self._method == "broyden" and not testing:
            self.G = self.G + np.outer(ds - self.G @ dq, dq) / float(dq @ dq)
            return
        forgetting = 1.0 if testing else SERVO_FORGETTING
        self._S, self._C = forgetting * self._S + np.outer(dq, dq), forgetting * self._C + np.outer(dq, ds)
        ridge = 2.0 * (SERVO_NOISE / SERVO_SPREAD) ** 2 * np.eye(q.size)
        self.G = np.linalg.solve(self._S + ridge, self._C).T

    def _joints_at(self, stamp: float) -> Array | None:
        """Return the joints at an exposure, which is at a tick; None outside of what is kept."""
        nearest = min(self._joints, key=lambda entry: abs(entry[0] - stamp))
        return nearest[1] if abs(nearest[0] - stamp) <= 0.51 * self._dt else None

    def _limited(self, q: Array, wanted: Array) -> Array:
        """Return velocities (n,) within the share of the limits, the acceleration, and the joints' range."""
        largest = float(np.abs(wanted / self._fastest).max())
        wanted = wanted / max(1.0, largest)
        step = self._fastest * self._dt / SERVO_SPEED_UP
        change = wanted - self._qd
        self._qd = self._qd + change / max(1.0, float(np.abs(change / step).max()))
        low, high = self._robot.position_lower + SERVO_MARGIN - q, self._robot.position_upper - SERVO_MARGIN - q
        return np.clip(
            self._qd, np.minimum(low, 0.0) / SERVO_SPEED_UP * 2.0, np.maximum(high, 0.0) / SERVO_SPEED_UP * 2.0
        )
