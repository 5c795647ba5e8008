"""The ONNX export gives the same numbers as the policy. Needs the extra `onnx` and onnxruntime."""

import numpy as np
import pytest

from mbrl_ros.distillation.compiled_policy import CompiledPolicy
from mbrl_ros.distillation.export import to_onnx
from mbrl_ros.distillation.fit import fit
from support.needs import needs, present
from support.robots import planar_robot
from support.teaching import SETTINGS, N, taught_samples

if present("onnxruntime"):
    import onnxruntime

pytestmark = needs("onnx", "onnxruntime")


def test_onnx_gives_the_same_goals_and_commands(tmp_path):
    robot, rng = planar_robot(N), np.random.default_rng(0)
    policy, _ = fit(taught_samples(robot), robot, "point", SETTINGS)
    to_onnx(policy, robot, tmp_path / "p")
    goal, act = (onnxruntime.InferenceSession(str(tmp_path / f"p.{name}.onnx")) for name in ("goal", "act"))
    student = CompiledPolicy(policy, robot)
    for _ in range(20):
        target = rng.uniform([-1.0, 0.0, -1.0], [1.0, 0.0, 1.0])
        g = student.set_target(target)
        found, scores = goal.run(["g", "scores"], {"target": target, "task": np.ones(1)})
        assert found == pytest.approx(g, abs=1e-9)
        assert scores == pytest.approx([student.scores["target"], student.scores["spread"]], rel=1e-6)
        q, qd, a, w = rng.standard_normal((4, N))
        u, score = act.run(["u", "score"], {"q": q, "qd": qd, "a": a, "w": w, "g": g})
        assert u == pytest.approx(student.act(q, qd, a, w), abs=1e-9)
        assert score[0] == pytest.approx(student.scores["state"], rel=1e-9)
