"""Replays are deterministic, agree with what ran, survive damage and say what is wrong."""

import json
import sys

import numpy as np
import pytest

from mbrl_ros.exceptions import ConfigurationError, DataError, JointNameError
from mbrl_ros.replay import Mapped, ReplayOptions, replay
from mbrl_ros.replay.table import read_csv
from support.needs import needs
from support.replay_bags import (
    EVENT,
    RATE,
    START,
    STATE,
    VECTOR,
    Messages,
    closed_loop,
    parameter_event,
    write_bag,
)

pytestmark = needs("rosbags")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(bag, commands): a closed loop of three seconds, recorded."""
    messages, commands = closed_loop()
    return write_bag(tmp_path_factory.mktemp("run") / "bag", messages), commands


def outcome(bag, **options):
    """What must not differ between two replays of the same messages."""
    made = replay(ReplayOptions(bag, **options))
    summary = {
        key: value for key, value in made.summary.items() if key not in ("bag", "realtime_factor", "wall_s", "cpu_s")
    }
    columns = [name for name in made.table.names if name != "compute_ms"]
    rows = np.concatenate(list(made.table.blocks()))
    return summary, rows[:, [made.table.names.index(name) for name in columns]].tobytes()


def test_a_replay_repeats_the_recorded_commands_to_the_last_bit(run):
    bag, commands = run
    made = replay(ReplayOptions(bag))
    assert made.summary["ticks"] == len(commands) and made.summary["rejected"] == {}
    assert made.summary["difference"] == {"compared": len(commands), "identical": len(commands), "rms": 0.0, "max": 0.0}
    np.testing.assert_array_equal(made.table.column("u"), commands)
    assert made.summary["prediction"]["nis_coverage_95"] > 0.8 and made.summary["prediction"]["nmse_10_q"] < 0.1


def test_units_of_the_robot_s_machine_are_not_looked_for(run):
    bag, commands = run
    made = replay(ReplayOptions(bag, settings={"robot.units": "/nowhere/arm.units"}))
    assert made.summary["difference"]["identical"] == len(commands)


@pytest.mark.slow
def test_ten_replays_agree_to_the_last_bit(run):
    first = outcome(run[0])
    assert all(outcome(run[0]) == first for _ in range(9))


@pytest.mark.slow(but=1)
@pytest.mark.parametrize(
    "storage, compression",
    [("sqlite3", ""), ("sqlite3", "file"), ("sqlite3", "message"), ("mcap", "message"), ("mcap", "storage")],
)
def test_the_form_of_the_bag_does_not_matter(run, tmp_path, storage, compression):
    messages, _ = closed_loop()
    copy = write_bag(tmp_path / "copy", messages, storage, compression)
    assert outcome(copy) == outcome(run[0])


@pytest.mark.slow(but=2)
@pytest.mark.parametrize("store", ["ros2_foxy", "ros2_humble", "ros2_kilted"])
def test_the_types_of_other_distributions_are_read(run, tmp_path, store):
    messages, _ = closed_loop(store=store)
    assert outcome(write_bag(tmp_path / "copy", messages, store=store)) == outcome(run[0])


def test_a_storage_file_without_its_folder_gives_the_same(run):
    (file,) = run[0].glob("*.mcap")
    assert outcome(file) == outcome(run[0])


def test_what_if_changes_the_commands_but_not_what_the_robot_felt(run):
    made = replay(ReplayOptions(run[0], settings={"planner.horizon": 12}))
    as_recorded = replay(ReplayOptions(run[0]))
    assert made.summary["commands_sha256"] != as_recorded.summary["commands_sha256"]
    assert (
        made.summary["prediction"] == as_recorded.summary["prediction"]
    )  # the same commands acted, the same was learned
    with pytest.raises(ConfigurationError, match="did you mean 'planner.horizon'"):
        replay(ReplayOptions(run[0], settings={"planner.horizn": 12}))


def test_without_planning_the_same_is_learned(run):
    made = replay(ReplayOptions(run[0], plan=False))
    assert made.summary["commands_sha256"] is None and not np.isfinite(made.table.column("u")).any()
    np.testing.assert_array_equal(
        made.table.column("innovation"), replay(ReplayOptions(run[0])).table.column("innovation")
    )


def test_a_part_of_the_bag(run):
    made = replay(ReplayOptions(run[0], begin=2.0, end=3.0, settings={"planner.iterations": 2}))
    stamps = made.table.column("stamp")  # the bag begins a second before the first state
    assert stamps[0] == pytest.approx(START + 1.0)
    assert stamps[-1] == pytest.approx(
        START + 2.0
    )  # in lockstep every state is answered, whether its answer is in the range or not
    with pytest.raises(DataError, match="nothing to replay: no joint state in the range"):
        replay(ReplayOptions(run[0], begin=50.0))


def foreign(make, count=150, names=("left_1", "left_2"), stamp=lambda k: START + k / RATE, **fields):
    """States of a robot that nothing is known of, whose effort moves it."""
    rng = np.random.default_rng(1)
    q, qd = np.zeros(2), np.zeros(2)
    for k in range(count):
        u = rng.standard_normal(2)
        yield (
            "/arm/joint_states",
            STATE,
            START + k / RATE,
            make.state(stamp(k), q, **{"qd": qd, "effort": u, "names": names, **fields}),
        )
        q, qd = q + qd / RATE, qd + 2.0 * u / RATE


def test_a_robot_that_nothing_is_known_of_is_replayed_without_planning(tmp_path):
    bag = write_bag(tmp_path / "bag", foreign(Messages()))
    made = replay(ReplayOptions(bag))
    assert not made.setup.plan and made.setup.configuration.control.rate == RATE
    assert any("nothing is known of this robot (left_1, left_2)" in note for note in made.setup.notes)
    assert made.summary["prediction"]["nmse_1_qd"] < 0.1  # noiseless, and the effort explains everything


def test_foreign_names_are_mapped_or_the_error_says_how(run, tmp_path):
    bag = write_bag(tmp_path / "bag", foreign(Messages()))
    known = {"robot.description": run_settings()["robot.description"], "planner.backend": "casadi"}
    with pytest.raises(JointNameError, match=r"--joint 'left_\{\}=joint\{\}' would match them"):
        replay(ReplayOptions(bag, settings={**known, "robot.joints": ["joint1", "joint2"]}))
    (tmp_path / "map.yaml").write_text("topics: {states: /arm/joint_states}\njoints: {'left_{}': 'joint{}'}\n")
    made = replay(ReplayOptions(bag, settings=known, mapped=Mapped.of(file=tmp_path / "map.yaml")))
    assert made.setup.plan and made.setup.robot.joints == ("joint1", "joint2") and made.summary["ticks"] == 150
    with pytest.raises(DataError, match="no topic '/arm/joint_state' for states; did you mean '/arm/joint_states'"):
        replay(ReplayOptions(bag, mapped=Mapped.of(["states=/arm/joint_state"])))
    with pytest.raises(ConfigurationError, match="no role 'state'; did you mean 'states'"):
        replay(ReplayOptions(bag, mapped=Mapped.of(["state=/arm/joint_states"])))


def run_settings():
    from support.replay_bags import SETTINGS

    return SETTINGS


def test_a_bag_without_joint_states_says_what_it_has(tmp_path):
    bag = write_bag(tmp_path / "bag", [("/commands", VECTOR, START, Messages().command([1.0]))])
    with pytest.raises(DataError, match=r"no joint states found .*/commands \(std_msgs/msg/Float64MultiArray, 1\)"):
        replay(ReplayOptions(bag))


def test_empty_stamps_are_refused_or_taken_from_the_bag(tmp_path):
    bag = write_bag(tmp_path / "bag", foreign(Messages(), stamp=lambda k: 0.0))
    with pytest.raises(DataError, match=r"nothing to replay: 149 no stamp.*--stamps bag takes"):
        replay(ReplayOptions(bag, settings={"control.rate": RATE}))
    assert replay(ReplayOptions(bag, stamps="bag")).summary["ticks"] == 150


def test_gaps_jumps_and_repetitions_are_counted_like_the_node_counts_them(tmp_path):
    make = Messages()
    states = list(foreign(make))
    topic, kind, stamp, data = states[49]
    kept = [*states[:50], (topic, kind, stamp + 0.001, data), *states[60:]]  # one twice, ten missing
    bag = write_bag(tmp_path / "bag", kept)
    made = replay(ReplayOptions(bag))
    assert made.summary["rejected"] == {"duplicate stamp": 1} and made.summary["ticks"] == 140
    jumped = list(foreign(make, stamp=lambda k: k / RATE + (500.0 if k >= 75 else 1.0)))  # a clock of its own
    made = replay(ReplayOptions(write_bag(tmp_path / "jump", jumped)))
    assert made.summary["restarts"] == 1 and sum(made.summary["rejected"].values()) == 4  # the fifth is believed
    assert any("new time line" in event.text for event in made.events)


def test_commands_of_another_controller_act_from_their_own_moment(tmp_path):
    make = Messages()
    messages = []
    for k, (topic, kind, stamp, data) in enumerate(foreign(make, effort=())):
        messages += [
            (topic, kind, stamp, data),
            ("/velocity_controller/commands", VECTOR, stamp + 0.25 / RATE, make.command([k, -k])),
        ]
    made = replay(
        ReplayOptions(
            write_bag(tmp_path / "bag", messages),
            settings={"robot.description": run_settings()["robot.description"], "planner.backend": "casadi"},
            mapped=Mapped.of(joints=["left_{}=joint{}"]),
        )
    )
    assert made.setup.command_source == "held"
    u = made.table.column("u_recorded")[10:20, 0]
    np.testing.assert_allclose(u, [0.25 * (k - 1) + 0.75 * k for k in range(10, 20)], atol=1e-6)


def test_commands_in_the_order_of_the_robots_driver_are_sorted_by_their_labels(run, tmp_path):
    make = Messages()
    messages = []
    for topic, kind, stamp, data in closed_loop()[0]:
        if kind == VECTOR:
            command = make.store.deserialize_cdr(data, VECTOR)
            data = make.labelled(command.data[::-1], [command.layout.dim[0].label, "joint2", "joint1"])
        messages.append((topic, kind, stamp, data))
    assert outcome(write_bag(tmp_path / "bag", messages)) == outcome(run[0])


def test_parameters_that_were_set_while_recording_are_set_again(run, tmp_path):
    messages, _ = closed_loop()
    event = parameter_event(Messages(), "/mpc_node", "control.exploration_end", 0.1)
    later = [("/parameter_events", EVENT, START + 2.0 - 0.5 / RATE, event)]
    bag = write_bag(tmp_path / "bag", sorted(messages + later, key=lambda message: message[2]))
    made = replay(ReplayOptions(bag))
    same = made.table.column("difference") == 0.0
    assert same[:100].all() and not same[100:].any()  # what ran had no such change
    assert any("parameters set: control.exploration_end=0.1" in event.text for event in made.events)


def test_the_table_of_ticks_as_parquet_is_the_same_as_in_memory(run, tmp_path):
    parquet = pytest.importorskip(
        "pyarrow.parquet", reason="a Parquet table needs pyarrow: pip install 'mbrl_ros[parquet]'"
    )
    table = replay(ReplayOptions(run[0])).table
    table.write_parquet(tmp_path / "ticks.parquet")
    table.write_csv(tmp_path / "ticks.csv")
    read, csv = parquet.read_table(tmp_path / "ticks.parquet"), read_csv(tmp_path / "ticks.csv")
    assert read.column_names == list(csv) == table.names and read.num_rows == len(table)
    for name, values in csv.items():
        np.testing.assert_array_equal(read[name].to_numpy(), values)


@pytest.mark.slow
def test_without_pyarrow_the_table_is_csv_and_the_report_says_so(run, tmp_path, monkeypatch):
    from mbrl_ros.replay import report

    pytest.importorskip("matplotlib", reason="the report's pictures need matplotlib")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    made = replay(ReplayOptions(run[0]))
    page = report.write(made, tmp_path / "out", "parquet")
    assert len(read_csv(tmp_path / "out" / "ticks.csv")["stamp"]) == len(made.table)
    assert "needs pyarrow" in page.read_text() and "ticks.csv was written instead" in report.text(made)


def test_the_summary_is_what_other_programs_rely_on(run, tmp_path):
    from mbrl_ros.replay import report

    pytest.importorskip("matplotlib", reason="the report's pictures need matplotlib")
    page = report.write(replay(ReplayOptions(run[0])), tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert {"messages", "ticks", "rejected", "prediction", "commands_sha256", "realtime_factor"} <= set(summary)
    assert set(summary["prediction"]) == {"nmse_1_qd", "nmse_10_q", "nis_coverage_95"}
    text = page.read_text()
    assert text.count("data:image/png") == 6 and "recorded of /mpc_node" in text
    table = read_csv(tmp_path / "out" / "ticks.csv")
    np.testing.assert_array_equal(np.column_stack([table["u.joint1"], table["u.joint2"]]), run[1])
