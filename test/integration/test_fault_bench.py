"""The kinds of faults of `mbrl bench faults`: what it sends, and that it sees what goes wrong."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from mbrl_ros.cli.main import main
from mbrl_ros.messages.input_gate import InputGate
from mbrl_ros.robots.kinematics import Kinematics
from support.needs import needs, present
from support.reports import assert_reported, report_into

if present("rclpy", "mujoco"):
    from mbrl_ros.bench.node import fault_suite
    from mbrl_ros.bench.node.dds_messages import DDS_KINDS, DdsMessages
    from mbrl_ros.bench.node.falls import BEYOND, FallJudge
    from mbrl_ros.bench.node.fault_record import Cell, table_of_cells
    from mbrl_ros.bench.node.fault_suite import FAULT_KINDS, FaultSuite, Sizes
    from mbrl_ros.bench.node.file_faults import ACCIDENTS, WRONG_INTERFACE, FileFaults, right_file
    from mbrl_ros.bench.node.guard_faults import GuardFaults
    from mbrl_ros.bench.node.message_faults import MESSAGE_KINDS, MessageFaults
    from mbrl_ros.bench.node.robot import START_POSE, panda
else:
    MESSAGE_KINDS = DDS_KINDS = {}

pytestmark = needs("rclpy", "mujoco", "example-robot-data")
BAD = ("falls", "outside", "silent", "unasked", "unrecovered", "crashes")


def bad(cell) -> dict[str, int]:
    return {name: count for name, count in cell.numbers().items() if name in BAD and count}


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("interface", ("effort", "velocity", "position"))
@pytest.mark.parametrize("kind", MESSAGE_KINDS)
def test_wrong_joint_states_move_no_arm_where_it_must_not_go_and_are_counted(kind, interface):
    cell = Cell(kind, interface)
    MessageFaults(kind, interface, 5, cell).run(40)
    assert cell.messages >= 40 and bad(cell) == {}, cell.notes


@pytest.mark.slow
def test_two_runs_with_one_seed_are_the_same_and_two_seeds_are_not():
    cells = [Cell("outliers", "velocity") for _ in range(3)]
    for cell, seed in zip(cells, (1, 1, 2), strict=True):
        MessageFaults("outliers", "velocity", seed, cell).run(24)
    assert cells[0].largest == cells[1].largest != cells[2].largest


def test_what_is_not_counted_in_the_diagnostics_is_a_silent_failure(monkeypatch):
    monkeypatch.setattr(InputGate, "correct", lambda self, what, detail: None)
    cell = Cell("outliers", "velocity")
    MessageFaults("outliers", "velocity", 5, cell).run(40)
    assert cell.silent > 0 and "not counted" in cell.notes[0]


def test_an_arm_that_leaves_the_place_where_the_fault_began_falls():
    robot = panda("velocity")
    judge, kinematics = FallJudge(robot), Kinematics(robot)
    q, qd = np.array(START_POSE), np.zeros(robot.n)
    tip = kinematics.position(q)
    judge.begin(q, qd)
    assert not judge.fell(tip + [0.0, 0.0, 0.99 * BEYOND]) and judge.fell(tip + [0.0, 0.0, 1.01 * BEYOND])
    qd[0] = 1.0
    judge.begin(q, qd)
    braking = np.linalg.norm(kinematics.jacobian(q)[:, 0]) * 0.5 / robot.acceleration_limit[0]
    assert not judge.fell(tip + [0.0, BEYOND + 0.99 * braking, 0.0])
    assert judge.fell(tip + [0.0, BEYOND + 1.01 * braking, 0.0])
    goal = q + 0.3
    judge.allow(q, goal)
    assert not judge.fell(kinematics.position(q + 0.15)) and judge.fell(kinematics.position(q - 0.3))


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("kind", DDS_KINDS)
def test_mpc_node_judges_the_same_messages_over_dds_as_the_reader_in_process(kind):
    cell = Cell(kind, "velocity")
    DdsMessages(kind, "velocity", 3, cell).run(60)
    assert cell.dds >= 60 and bad(cell) == {}, cell.notes


@pytest.mark.slow
@pytest.mark.realtime
@pytest.mark.parametrize("kind", ("guard-kills", "mpc-kills", "stops"))
def test_a_kill_is_reported_and_the_arm_is_commanded_again(kind):
    cell = Cell(kind, "velocity")
    GuardFaults(kind, "velocity", 3, 0, cell).run(1)
    # where the tip goes is a matter of this machine's load: test/unit/guard judges it without a clock
    assert cell.kills >= 1 and not {"outside", "silent", "unrecovered", "crashes"} & set(bad(cell)), cell.notes


@pytest.mark.slow
def test_files_are_refused_with_a_code_and_a_reason():
    cell = Cell("parameter-files", "velocity")
    FileFaults("velocity", 3, cell).run(3)
    assert cell.kills == 3 and bad(cell) == {}, cell.notes
    assert len({change(right_file("effort")) for change in ACCIDENTS.values() if change}) == len(ACCIDENTS) - 1
    assert WRONG_INTERFACE not in ACCIDENTS


def test_every_kind_is_planned_with_every_interface():
    suite = FaultSuite()
    parts = list(suite.parts(Sizes(1000, 3, 1, quick=True)))
    assert {part.kind for part in parts} == set(FAULT_KINDS)
    assert all(len([p for p in parts if p.kind == kind]) == 3 for kind in MESSAGE_KINDS)
    for interface in ("effort", "velocity", "position"):
        assert sum(p.count for p in parts if p.kind in MESSAGE_KINDS and p.interface == interface) >= 1000
    few = list(FaultSuite(kinds=["split"], interfaces=["effort"]).parts(Sizes(7, 0, 0)))
    assert [(part.kind, part.interface, part.count) for part in few] == [("split", "effort", 7)]


@pytest.mark.parametrize("disturbed, unjudged", [(1, []), (6, ["0 of 3 mpc-kills with effort"])])
def test_kills_that_were_all_disturbed_are_not_judged(monkeypatch, disturbed, unjudged):
    def killed(faults, count, progress):
        faults.kills, faults.disturbed = min(count + disturbed, 2 * count), disturbed

    monkeypatch.setattr(
        fault_suite, "GuardFaults", lambda *arguments: SimpleNamespace(run=partial(killed, arguments[-1]))
    )
    suite = FaultSuite(kinds=["mpc-kills"], interfaces=["effort"])
    suite.run(Sizes(0, 3, 0))
    assert suite.unjudged() == unjudged


@pytest.mark.slow
def test_the_table_and_an_unknown_kind(capfd, tmp_path):
    file = tmp_path / "table.md"
    arguments = [
        "bench",
        "faults",
        "--messages",
        "20",
        "--interfaces",
        "velocity",
        "--quiet",
        "--table",
        str(file),
        *report_into(tmp_path),
    ]
    assert main([*arguments, "--kinds", "foreign"]) == 0
    said = capfd.readouterr().out
    assert said.startswith("| kind | interface | messages |") and "| foreign | velocity |" in said
    assert file.read_text() in said and said.splitlines()[-1] == "PASS"
    assert_reported(tmp_path, "Bench of faults", pictures=1, of="foreign")
    assert main([*arguments, "--kinds", "foregin"]) == 2
    assert "did you mean 'foreign'?" in capfd.readouterr().err
    assert table_of_cells([Cell("split", "effort", messages=3)]).splitlines()[-1].startswith("| split | effort | 3 |")


@pytest.mark.parametrize(
    "options, why",
    [
        (["--messages", "-1"], "--messages: must be a whole number of at least 0"),
        (["--kills", "-3"], "--kills: must be a whole number of at least 0"),
        (["--restarts", "-3"], "--restarts: must be a whole number of at least 0"),
        (["--seed", "-3"], "--seed: must be a whole number of at least 0"),
        (["--priority", "100"], "--priority: must be a whole number from 0 to 99"),
        (["--kinds", "split", "--messages", "0"], "no fault is asked for"),
        (["--kinds", "pauses", "--interfaces", "effort"], "no fault is asked for"),
        (["--json", "/no/such/folder/faults.json"], "there is no folder /no/such/folder"),
        (["--table", "."], "it is a folder"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(options, why, capsys):
    assert main(["bench", "faults", "--quiet", *options]) == 2
    said = capsys.readouterr().err
    assert why in said and said.startswith("mbrl: ") and len(said.splitlines()) == 1
