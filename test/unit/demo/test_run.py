"""Where a demo starts, of a robot that nobody wrote a start for."""

import numpy as np

from mbrl_ros.demo import run
from support.robots import planar_arm


def test_a_joint_without_limits_starts_at_zero_and_the_others_in_the_middle(tmp_path, monkeypatch):
    text = planar_arm().replace('type="revolute"', 'type="continuous"', 1)
    (tmp_path / "arm.urdf").write_text(text.replace('lower="-2.5"', 'lower="-1.5"'))
    (tmp_path / "arm.yaml").write_text(
        "/**:\n  ros__parameters:\n    robot:\n"
        f"      description: {tmp_path / 'arm.urdf'}\n      interface: effort\n      position_margin: [0.0]\n"
    )
    starts = []
    monkeypatch.setattr(run, "build_scenario", lambda robot, start, seed, **options: starts.append(start))
    run.Run(run.Options(config=tmp_path / "arm.yaml"))
    np.testing.assert_allclose(starts[0], [0.0, 0.5])
