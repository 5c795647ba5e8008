"""`mbrl bench robots`: draws, numbers, resuming and the verdict, on a two-joint arm."""

import json

import numpy as np
import pytest

from mbrl_ros.cli.main import main
from mbrl_ros.console.progress import Progress
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.references.workspace import HOLDABLE
from mbrl_ros.safety.state_machine import Reason, State
from support.needs import needs, present
from support.reports import assert_reported, report_into
from support.robots import planar_arm, planar_robot

if present("mujoco"):
    from mbrl_ros.bench.robots import campaign, case, conditions, controllers, judgement, report, run, targets
    from mbrl_ros.bench.robots.arms import ARMS, Arm
    from mbrl_ros.bench.robots.loop import Loop, Row
    from mbrl_ros.simulation.plant import Plant

pytestmark = needs("mujoco", "adam", "matplotlib")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    arm = Arm(planar_arm(2), ("joint1", "joint2"), "tip", 1.0)
    monkeypatch.setitem(ARMS, "small", arm)
    return arm


@pytest.fixture
def hurried(monkeypatch):
    """Slots of a tenth of a second, in which no target can be reached."""
    for module in (run, targets):
        monkeypatch.setattr(module, "HOLD_TIME", 0.05)
        monkeypatch.setattr(module, "SLOT_TIME", 0.1)
    monkeypatch.setattr(targets, "REST_TIME", -10.0)
    monkeypatch.setattr(run, "LOAD_AFTER", 0.05)


def numbers(**changes):
    usual = dict(reached=2, targets=2, rest_mm=0.5, sag_mm=4.0, lost=False, speed_fraction=0.5, outside_limits=0)
    usual |= dict(spoke_at_mm=None, cause="", at_limit=0.0, motion_mm=0.1, errors=0, rests_mm=[0.5, 0.4])
    return usual | changes


def results(**by_condition):
    return {"panda": {"effort": {name: {"mpc": {"0": numbers(**changes)}} for name, changes in by_condition.items()}}}


# --- draws ----------------------------------------------------------------------------------------------------------


def test_targets_can_be_held_with_the_efforts_there_are_and_those_that_cannot_are_counted():
    robot = planar_robot(2, effort=9.0)  # the outstretched arm needs 14.7 N m

    def effort(q):
        first = 1.5 * 9.81 * 0.5 * np.cos(q[0]) + 0.5 * 9.81 * 0.5 * np.cos(q[0] + q[1])
        return np.array([first, 0.5 * 9.81 * 0.5 * np.cos(q[0] + q[1])])

    course = targets.draw(robot, effort, 3, 4)
    assert course.targets.shape == (4, 3) and course.redrawn > 0
    assert (np.abs(effort(course.start)) <= HOLDABLE * robot.effort_limit).all()
    assert np.allclose(course.targets[:, 1], 0.0, atol=1e-9)  # the arm moves in a plane
    again = targets.draw(robot, effort, 3, 4)
    assert np.array_equal(again.targets, course.targets) and np.array_equal(again.start, course.start)
    assert not np.array_equal(targets.draw(robot, effort, 4, 4).targets, course.targets)


def test_an_arm_that_cannot_hold_itself_is_refused():
    with pytest.raises(ConfigurationError, match="none of .* postures can be held"):
        targets.draw(planar_robot(2), lambda q: np.full(2, 1e3), 0, 1)


def test_a_condition_changes_the_plant_and_what_the_controller_is_told():
    changed = case.prepare(ARMS["small"], conditions.CONDITIONS["limits3"], 0, 1)
    assert np.allclose(changed.robot.effort_limit, 60.0) and changed.payload == 0.0
    late = case.prepare(ARMS["small"], conditions.CONDITIONS["delay-1"], 0, 1)
    assert late.configuration.control.delay == 2.0 and late.plant.settings.command_delay == 1.0
    fast = case.prepare(ARMS["small"], conditions.CONDITIONS["rate1000"], 0, 1)
    assert fast.plant.period == pytest.approx(0.001) and fast.configuration.planner.horizon == 150
    assert case.prepare(ARMS["small"], conditions.CONDITIONS["payload"], 0, 1).payload == 0.5
    rough = case.prepare(ARMS["small"], conditions.CONDITIONS["coulomb"], 0, 1)
    assert np.allclose(rough.plant.settings.frictionloss, 1.0)  # 5 % of 20 N m
    elastic = case.prepare(ARMS["small"], conditions.CONDITIONS["elastic5"], 0, 1)
    assert np.allclose(elastic.robot.effort_limit / elastic.plant.settings.joint_stiffness, 0.005)
    touching = case.prepare(ARMS["small"], conditions.CONDITIONS["contact"], 0, 2)
    ball, last = np.array(touching.plant.settings.obstacle), touching.course.targets[-1]
    assert ball[3] - np.linalg.norm(last - ball[:3]) == pytest.approx(conditions.TOUCHED)
    assert np.linalg.norm(touching.course.targets[0] - ball[:3]) > ball[3]


def test_a_condition_of_some_interfaces_is_run_with_those_only():
    tasks = campaign.tasks(
        chosen(interfaces=("effort", "velocity"), conditions=("servo", "elastic2"), controllers=("mpc",))
    )
    assert [(task.interface, task.condition) for task in tasks] == [("velocity", "servo"), ("effort", "elastic2")]


# --- runs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("controller", ["mpc", "mpc_known", "pid"])
def test_a_run_gives_every_number(hurried, controller):
    found = run.run(run.Task("small", "effort", "payload", controller, 0))
    assert {"reached", "targets", "rest_mm", "sag_mm", "lost", "speed_fraction", "outside_limits"} <= set(found)
    assert found["targets"] == 2 and found["outside_limits"] == 0 and found["errors"] == 0 and not found["lost"]
    assert found["payload_kg"] == 0.5 and len(found["rests_mm"]) == 2
    assert 0.0 < found["sag_mm"] < 100.0 and 0.0 < found["speed_fraction"] < 1.0
    assert found["reached"] < 2 and "mm away" in found["cause"]  # within a tenth of a second
    again = run.run(run.Task("small", "effort", "payload", controller, 0))
    assert {k: v for k, v in again.items() if not k.endswith("_s")} == {
        k: v for k, v in found.items() if not k.endswith("_s")
    }


def test_the_known_model_is_that_of_the_plant_and_nobody_else_is_told(hurried):
    halved = {"mass_factor": 0.5, "armature": (0.02,)}
    prepared = case.prepare(ARMS["small"], conditions.Condition("light", halved), 0, 1)
    parts = prepared.robot, prepared.configuration, prepared.plant.settings
    known, ours = controllers.build("mpc_known", *parts).dynamics, controllers.build("mpc", *parts).dynamics
    x, u = np.zeros(4), np.zeros(2)
    q, step = x[:2], known.dt
    at_rest = Plant(prepared.plant.settings.replace(initial_position=(0.0, 0.0), frictionloss=(0.0,)), prepared.robot)
    carried = at_rest.holding_effort(q)
    np.testing.assert_allclose(known.prior.mean(x, carried), 0.0, atol=1e-9)
    assert np.abs(known.prior.mean(x, u)).max() > 5.0 * step and known.settings.estimator == "known"
    assert ours.settings.estimator == "refit" and not ours.prior.mean(x, u).any()


def test_a_lost_arm_names_cause_and_time_and_how_far_it_had_moved(hurried):
    prepared = case.prepare(ARMS["small"], conditions.CONDITIONS["nominal"], 0, 2)
    controller = controllers.build("pid", prepared.robot, prepared.configuration, prepared.plant.settings)
    loop = Loop(prepared.plant, controller, prepared.configuration)
    loop.until(0.05)
    prepared.plant.push(0, 20.0)  # far above the limit of 3 rad/s
    loop.until(0.25)
    found = run.numbers(loop, prepared)
    assert found["lost"] and found["reached"] == 0 and found["rest_mm"] > 100.0
    assert found["cause"].startswith("OVERSPEED at 0.0") and found["spoke"] == "LOOP_TRACKING"
    assert 0.05 < found["spoke_at_s"] < found["lost_at_s"] and 0.0 < found["warned"] < 1.0
    assert 0.0 < found["spoke_at_mm"] < 200.0 and found["speed_fraction"] > 3.0


def test_of_a_lost_arm_the_warning_before_the_loss_counts_and_of_others_the_first(hurried):
    prepared = case.prepare(ARMS["small"], conditions.CONDITIONS["nominal"], 0, 1)
    controller = controllers.build("pid", prepared.robot, prepared.configuration, prepared.plant.settings)
    loop = Loop(prepared.plant, controller, prepared.configuration)
    row = Row(np.zeros(3), np.zeros(2), np.zeros(2), np.zeros(2), int(State.ACTIVE))
    loop.rows = [row] * 400
    assert loop.spoke() is None
    for k in (10, 11, 300, 350):  # 1.445 s apart, then 0.25 s
        loop.rows[k] = row._replace(reasons=Reason.LOOP_OFFSET)
    assert loop.spoke() == 10
    loop.lost_at = 380 * loop.dt
    assert loop.spoke() == 300
    loop.lost_at = 200 * loop.dt
    assert loop.spoke() == 10


def test_states_that_are_lost_are_ticks_that_are_missed(hurried, monkeypatch):
    monkeypatch.setitem(conditions.CONDITIONS, "half", conditions.Condition("half", lost_states=0.5))
    found = run.run(run.Task("small", "effort", "half", "pid", 0))
    assert found["errors"] == 0 and found["outside_limits"] == 0


# --- many runs ------------------------------------------------------------------------------------------------------


def chosen(**changes):
    usual = dict(arms=("small",), interfaces=("effort",), conditions=("nominal",), controllers=("pid", "pid_gravity"))
    usual |= dict(seeds=(0,), targets=1, drawn=0, descriptions={}, overrides={})
    return campaign.Choice(**(usual | changes))


def test_what_is_kept_is_not_run_again_and_what_failed_is(hurried, tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(campaign, "attempt", lambda task: ran.append(task.path) or run.attempt(task))
    tasks = campaign.tasks(chosen(conditions=("nominal", "limits1/3")))
    assert len(tasks) == 4
    with Progress("", quiet=True) as shown:
        campaign.run_all(tasks[:2], 1, tmp_path, shown)
        assert len(ran) == 2
        together = campaign.run_all(tasks, 1, tmp_path, shown)
        assert len(ran) == 4
        assert list(together["small"]["effort"]) == ["nominal", "limits1/3"]
        (other,) = campaign.tasks(chosen(controllers=("pid",), targets=2))
        campaign.run_all([other], 1, tmp_path, shown)  # another number of targets
        assert len(ran) == 5
        (broken,) = campaign.tasks(chosen(controllers=("pid",), descriptions={"small": "<robot/>"}))
        failed = campaign.run_all([broken], 1, tmp_path, shown)["small"]["effort"]["nominal"]["pid"]["0"]
        assert failed["cause"].startswith("did not run:") and failed["reached"] == 0
        campaign.run_all([broken], 1, tmp_path, shown)
    assert len(ran) == 7


def test_three_arms_are_drawn_by_seed_and_all_meet_the_nominal_condition():
    arms = tuple(f"arm{i}" for i in range(9))
    tasks = campaign.tasks(
        chosen(arms=arms, conditions=("nominal", "lag5"), controllers=("mpc",), seeds=(1, 2), drawn=3)
    )
    met = {
        (seed, name): [t.arm for t in tasks if (t.seed, t.condition) == (seed, name)]
        for seed in (1, 2)
        for name in ("nominal", "lag5")
    }
    assert met[1, "nominal"] == met[2, "nominal"] == list(arms)
    assert len(met[1, "lag5"]) == len(met[2, "lag5"]) == 3 and met[1, "lag5"] != met[2, "lag5"]


def test_the_rivals_command_efforts_only():
    tasks = campaign.tasks(chosen(interfaces=("effort", "velocity"), controllers=("mpc", "pid")))
    assert [(t.interface, t.controller) for t in tasks] == [("effort", "mpc"), ("effort", "pid"), ("velocity", "mpc")]


# --- the verdict ----------------------------------------------------------------------------------------------------


def test_a_good_run_passes():
    assert judgement.shortcomings(results(nominal={}, lag10={})) == []
    assert judgement.verdict([], ["mpc"]).code == 0


@pytest.mark.parametrize(
    "condition, changes, what",
    [
        ("nominal", {"reached": 1}, "1 of 2 targets"),
        ("nominal", {"rest_mm": 1.2}, "at rest 1.20 mm"),
        ("lag10", {"lost": True}, "lost in 1 of 1"),
        ("lag10", {"reached": 1}, "1 of 2 targets"),
        ("lag10", {"speed_fraction": 0.97}, "0.97 of its speed limit"),
        ("lag10", {"sag_mm": 31.0}, "sags by 31.0 mm"),
        ("lag10", {"at_limit": 0.02}, "0.020 of the time"),
        ("lag10", {"motion_mm": 6.0}, "moves by 6.0 mm"),
        ("lag10", {"outside_limits": 1}, "1 commands outside"),
        ("lag10", {"errors": 1}, "1 errors"),
        ("lag10", {"failed": "Traceback", "cause": "did not run: no"}, "did not run: no"),
    ],
)
def test_what_falls_short_is_named(condition, changes, what):
    wrong = judgement.shortcomings(results(**{condition: changes}))
    assert len(wrong) == 1 and what in wrong[0]
    assert judgement.verdict(wrong, ["mpc"]).code == 1 and judgement.verdict(wrong, ["mpc"]).line().startswith("FAIL: ")


def test_a_rest_error_may_be_a_little_above_the_best_of_the_others():
    found = results(lag10={"rest_mm": 2.3})
    by_controller = found["panda"]["effort"]["lag10"]
    by_controller["pid"] = {"0": numbers(rest_mm=2.0)}
    assert judgement.shortcomings(found) == []
    by_controller["pid_gravity"] = {"0": numbers(rest_mm=1.8)}
    assert "2.16 allowed" in judgement.shortcomings(found)[0]
    by_controller["mpc_known"] = {"0": numbers(rest_mm=0.1)}  # it is told what no other knows
    assert "2.16 allowed" in judgement.shortcomings(found)[0]
    by_controller["pid_gravity"] = {"0": numbers(rest_mm=0.1, reached=1)}  # it did not reach its targets
    assert judgement.shortcomings(found) == []


def test_a_rival_that_fails_is_no_failure_of_the_product():
    found = results(nominal={})
    found["panda"]["effort"]["nominal"]["pid"] = {"0": numbers(lost=True, reached=0, rest_mm=None)}
    assert judgement.shortcomings(found) == []


def test_the_table_names_the_cause():
    text = report.table(results(lag10={"lost": True, "rest_mm": None, "cause": "OVERSPEED at 0.115 s"}))
    assert "| panda | effort | lag10 | mpc | 2/2 | 1 of 1 | - |" in text
    assert text.splitlines()[-1].endswith("seed 0: OVERSPEED at 0.115 s |")


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_writes_table_json_and_picture(hurried, tmp_path, capsys):
    options = ["--arms", "small", "--conditions", "nominal", "--controllers", "pid", "--seeds", "5", "--targets", "1"]
    file, picture = tmp_path / "robots.json", tmp_path / "robots.png"
    code = main(
        ["bench", "robots", *options, "--json", str(file), "--plot", str(picture), "--quiet", *report_into(tmp_path)]
    )
    printed = capsys.readouterr().out
    found = json.loads(file.read_text())["small"]["effort"]["nominal"]["pid"]["5"]
    assert found["targets"] == 1 and "| small | effort | nominal | pid |" in printed
    assert picture.read_bytes().startswith(b"\x89PNG")
    last = printed.splitlines()[-1]
    assert_reported(tmp_path, "Bench of robots", pictures=1, of="nominal", passed=False)
    assert code == 1 and last.startswith("FAIL: no arm was judged: 'mpc' is not among the controllers")


def test_wrong_names_are_refused_with_the_nearest(capsys):
    assert main(["bench", "robots", "--conditions", "lag11"]) == 2
    assert "did you mean 'lag10'" in capsys.readouterr().err
    assert main(["bench", "robots", "--jobs", "0"]) == 2
    assert main(["bench", "robots", "--urdf", "panda"]) == 2
    assert "ARM=FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, why",
    [
        (["--arms", "sawyer"], "give it with --urdf sawyer=FILE"),
        (["--urdf", "panda=/no/such/file"], "cannot read the robot description"),
        (["--controllers", "pdi"], "did you mean 'pid'"),
        (["--seeds", "3", "-1"], "--seeds: must be a whole number of at least 0"),
        (["--set", "planer.horizon=3"], "unknown setting"),
        (["--interfaces", "velocity", "--controllers", "pid"], "nothing to run"),
        (["--json", "/no/such/folder/robots.json"], "there is no folder /no/such/folder"),
        (["--plot", "."], "it is a folder"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(options, why, capsys):
    assert main(["bench", "robots", "--quiet", *options]) == 2
    said = capsys.readouterr().err
    assert why in said and said.startswith("mbrl: ") and len(said.splitlines()) == 1


def test_a_folder_of_another_run_is_refused(hurried, tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("")
    options = ["bench", "robots", "--arms", "small", "--conditions", "nominal", "--controllers", "pid", "--quiet"]
    again = [*options, "--targets", "1", "--resume", str(tmp_path)]
    assert main([*again, "--seeds", "5"]) == main([*again, "--seeds", "5"]) == 1  # nothing of the product is judged
    for wrong, why in (
        ([*options, "--seeds", "5", "--targets", "2", "--resume", str(tmp_path)], "'targets' was 1 and is 2"),
        (again, "go on with --seeds 5"),
        ([*options, "--resume", str(file)], "is not a folder"),
    ):
        capsys.readouterr()
        assert main(wrong) == 2
        assert why in capsys.readouterr().err
