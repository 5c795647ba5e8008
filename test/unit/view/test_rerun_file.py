"""A recording as a file of Rerun, read back."""

import numpy as np
import pytest

from mbrl_ros.cli.main import main
from mbrl_ros.console.progress import Progress
from mbrl_ros.view.shapes import read_shapes
from mbrl_ros.view.snapshot import CURVES, Snapshot
from support.needs import needs
from support.robots import planar_arm


class Recording:
    """Half a second of an arm that turns, whose plan is there after 0.2 s and whose target until 0.3 s."""

    begin, end, title = 10.0, 10.5, "run"
    path, target = np.linspace(0.0, 1.0, 12).reshape(4, 3), np.array([0.5, 0.0, 0.5])
    tube = np.tile(0.1 * np.eye(3), (4, 1, 1))

    def at(self, stamp):
        shot = Snapshot(stamp, {"joint1": stamp - self.begin, "joint2": 0.0})
        if stamp > 10.199:
            shot.path, shot.tube = self.path, self.tube
        shot.target = self.target if stamp < 10.3 else None
        curve = {name: np.array([stamp - self.begin]) for name in CURVES} | {"latency": np.array([np.nan])}
        shot.curves = {"time": np.array([stamp]), **curve}
        return shot

    def messages(self):
        return [(-np.inf, "activated"), (10.25, "target reached")]


@needs("rerun", "trimesh")
def test_what_is_written_is_read_back(tmp_path):
    from rerun.chunk import RrdReader

    from mbrl_ros.view.rerun_file import write_rerun

    file = tmp_path / "run.rrd"
    with Progress("view", quiet=True) as shown:
        assert write_rerun(file, read_shapes(planar_arm(2)), Recording(), shown) == []
    assert [path.name for path in tmp_path.iterdir()] == ["run.rrd"]
    rows: dict[str, int] = {}
    for chunk in RrdReader(file).stream():
        rows[chunk.entity_path] = rows.get(chunk.entity_path, 0) + chunk.num_rows
    moments = 26
    assert rows["/robot/link1"] == moments and rows["/robot/base"] == 1  # the base stands
    assert rows["/robot/link1/0"] == 1  # its mesh, which does not change
    assert rows["/plan"] == 1 and rows["/plan/tube"] == 1 and rows["/target"] == 2  # shown, and taken away
    assert rows["/curves/speed"] == moments and "/curves/latency" not in rows  # which is not known
    assert rows["/messages"] == 2


@needs("rerun", "trimesh")
@pytest.mark.parametrize(
    ("arguments", "said"),
    (
        (("--rerun", "run.rrd"), "name it with --bag"),
        (("--bag", "b", "--rerun", "run.txt"), "ends with .rrd"),
        (("--bag", "b", "--rerun", "no/folder/run.rrd"), "there is no such folder"),
    ),
)
def test_what_cannot_be_written_is_refused_in_one_line(capsys, arguments, said):
    assert main(["view", *arguments]) == 2
    assert said in capsys.readouterr().err
