"""The gate: golden replays, comparisons, the command line and the pytest fixture."""

import json
import re

import pytest

from mbrl_ros.cli.main import main
from mbrl_ros.exceptions import DataError
from mbrl_ros.replay import ReplayOptions, replay
from mbrl_ros.replay.golden import Golden, differences
from support.needs import needs
from support.replay_bags import closed_loop, write_bag

pytestmark = needs("rosbags")


pytest_plugins = ["pytester"]


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp("gate") / "bag", closed_loop(seconds=2.0)[0])


def test_a_golden_replay_agrees_with_itself_and_names_what_differs(bag, tmp_path):
    made = Golden.of(replay(ReplayOptions(bag)))
    made.save(tmp_path / "golden.npz")
    golden = Golden.load(tmp_path / "golden.npz")
    assert differences(made, golden, tolerance=0.0) == []
    changed = Golden.of(replay(ReplayOptions(bag, settings={"planner.horizon": 3})))
    lines = differences(changed, golden)
    assert any(line.startswith("command: ") and "of its range" in line for line in lines)
    assert not any("prediction" in line for line in lines)  # the same was learned
    assert differences(changed, golden, tolerance=10.0) == []
    half = Golden.of(replay(ReplayOptions(bag, end=2.0)))
    assert any("missing" in line for line in differences(half, golden))
    unplanned = Golden.of(replay(ReplayOptions(bag, plan=False)))
    assert differences(unplanned, golden) == ["commands: one of the two replays was made without planning (--no-plan)"]


def test_a_golden_file_that_is_none_is_refused(bag, tmp_path):
    (tmp_path / "golden.npz").write_bytes(b"no")
    with pytest.raises(DataError, match="not a file made by mbrl_ros"):
        Golden.load(tmp_path / "golden.npz")


def test_the_exit_code_is_the_gate(bag, tmp_path, capsys):
    golden = str(tmp_path / "golden.npz")
    assert main(["replay", str(bag), "--quiet", "--save-golden", golden]) == 0
    assert main(["replay", str(bag), "--quiet", "--check", golden]) == 0
    said = capsys.readouterr().out
    assert f"agrees with {golden}" in said and said.splitlines()[-1] == "PASS"
    assert main(["replay", str(bag), "--quiet", "--check", golden, "--set", "control.seed=7"]) == 1
    assert re.search(r"command: \d+ of 100 ticks differ by more than 0.001 of its range", capsys.readouterr().out)
    assert main(["replay", str(bag), "--quiet", "--check", str(tmp_path / "nowhere.npz")]) == 2


@pytest.mark.slow
def test_two_replays_are_compared(bag, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="the pictures need matplotlib")
    before, out = str(tmp_path / "before"), tmp_path / "out"
    assert main(["replay", str(bag), "--quiet", "--output", before]) == 0
    assert json.loads((tmp_path / "before" / "summary.json").read_text())["verdict"]["pass"]
    assert "PASS" in (tmp_path / "before" / "report.html").read_text().splitlines()[0]
    assert main(["replay", str(bag), "--quiet", "--compare", before, "."]) == 0
    assert "commands agree to the last bit" in capsys.readouterr().out
    assert (
        main(
            ["replay", str(bag), "--quiet", "--compare", ".", "planner.horizon=3,control.seed=7", "--output", str(out)]
        )
        == 0
    )
    assert "commands differ from 0.000 s on" in capsys.readouterr().out
    result = json.loads((out / "comparison.json").read_text())
    assert result["ticks_in_common"] == 100 and result["same_commands"] is False
    assert result["prediction"]["a"] == result["prediction"]["b"]
    assert (out / "comparison.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "which bag"),
        (["nowhere"], "nowhere does not exist"),
        (["{bag}", "--joint", "a"], "must be BAG_JOINT=ROBOT_JOINT"),
        (["{bag}", "--set", "planner.horizon=x"], "'planner.horizon' must be a whole number"),
        (["{bag}", "--map", "nowhere.yaml"], "cannot be read"),
        (["{bag}", "--config", "panad"], "did you mean 'panda'"),
        (["--compare", ".", "."], "settings need a bag"),
    ],
)
def test_wrong_use_is_one_line(bag, arguments, message, capsys):
    assert main(["replay", "--quiet", *(argument.format(bag=bag) for argument in arguments)]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_the_fixture_puts_a_bag_into_somebodys_ci(bag, pytester, monkeypatch):
    monkeypatch.setenv(
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1"
    )  # an installed package brings the plugin by itself: not twice
    pytester.makeconftest('pytest_plugins = ["mbrl_ros.pytest_plugin"]')
    pytester.makepyfile(f"""
        def test_my_bag(replay_bag):
            made = replay_bag({str(bag)!r}, golden="golden.npz")
            assert made.summary["ticks"] == 100
    """)
    options = ("-p", "no:cacheprovider")
    pytester.runpytest(*options).assert_outcomes(failed=1)
    pytester.runpytest(*options, "--update-golden").assert_outcomes(passed=1)
    pytester.runpytest(*options).assert_outcomes(passed=1)
    pytester.makepyfile(f"""
        def test_my_bag(replay_bag):
            replay_bag({str(bag)!r}, golden="golden.npz", settings={{"control.seed": 7}})
    """)
    result = pytester.runpytest(*options)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*the replay of * differs from golden.npz:*", "*command: * ticks differ by more than*"]
    )
