"""The doctor finds what is wrong and says what to do; init writes a configuration that loads."""

import json

import numpy as np
import pytest

from mbrl_ros.cli.main import main
from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.settings_file import read_settings
from mbrl_ros.robots import load_robot
from support.needs import needs
from support.replay_bags import RATE, SETTINGS, START, STATE, TEXT, VECTOR, Messages, closed_loop, write_bag

pytestmark = needs("rosbags")


@pytest.fixture
def doctor(tmp_path, capsys):
    """doctor(messages, *arguments) -> (exit code, what it said)."""

    def run(messages, *arguments):
        code = main(["doctor", str(write_bag(tmp_path / "bag", messages)), *arguments])
        return code, capsys.readouterr().out

    return run


def moving(make, count=200, rate=200.0, stamp=None, q_scale=1.0, names=("joint1", "joint2"), **changes):
    """States of two joints in smooth motion; changes: fields of the message instead of these."""
    for k in range(count):
        t = START + k / rate
        q, qd = np.array([np.sin(t), np.cos(t)]), np.array([np.cos(t), -np.sin(t)])
        yield (
            "/joint_states",
            STATE,
            t,
            make.state(t if stamp is None else stamp(k, t), q_scale * q, **{"qd": qd, "names": names, **changes}),
        )


def test_a_sound_robot_has_nothing_to_fix(doctor):
    code, said = doctor(moving(Messages()))
    assert code == 0 and "0 errors, 0 warnings" in said and "joint states at 200 Hz, control at 200 Hz" in said


@pytest.mark.parametrize(
    "changes, finding, advice",
    [
        ({"rate": 50.0}, "joint states come at 50 Hz, less than control.rate (200 Hz)", "set control.rate: 50"),
        ({"stamp": lambda k, t: 0.0}, "header.stamp is empty throughout", "make the publisher set header.stamp"),
        ({"stamp": lambda k, t: t - 0.2}, "states are 200 ms old when they arrive", "synchronise the clocks"),
        ({"q_scale": 180.0 / np.pi}, "positions seem to be in degrees, velocities in rad/s", "JointState is in rad"),
        ({"qd": [0.0, 0.0]}, "velocities are zero although the joints move", "or none at all"),
        ({"names": ("joint1", "joint1")}, "a joint is named twice in one message", "repair the publisher"),
    ],
)
def test_errors_are_found_and_the_exit_code_says_so(doctor, changes, finding, advice):
    code, said = doctor(moving(Messages(), **changes))
    assert code == 1 and finding in said and advice in said.split(finding, 1)[1]


@pytest.mark.parametrize(
    "changes, finding",
    [
        ({"qd": []}, "no velocities in 200 of 200 joint states"),
        ({"qd": [np.nan, np.nan]}, "no usable velocities in 200 of 200 joint states"),
        ({"stamp": lambda k, t: t - 0.002 * (k % 10 == 9)}, "of the states are more than 1 ms off their period"),
        ({"stamp": lambda k, t: t if k % 50 else t - 0.005}, "stamps come twice"),
    ],
)
def test_warnings_do_not_fail(doctor, changes, finding):
    code, said = doctor(moving(Messages(), **changes))
    assert code == 0 and finding in said


def test_a_gap_is_an_error_only_beyond_the_timeout(doctor, tmp_path):
    states = list(moving(Messages(), count=400))
    code, said = doctor(states[:100] + states[130:])
    assert code == 1 and "the longest 155.0 ms, beyond control.state_timeout (50 ms)" in said


def test_the_robot_tells_which_joints_and_limits_there_are(doctor, tmp_path):
    urdf = tmp_path / "arm.urdf"
    urdf.write_text(SETTINGS["robot.description"])
    code, said = doctor(
        moving(Messages(), q_scale=3.0, qd=[]), "--robot", str(urdf), "--json", str(tmp_path / "found.json")
    )
    assert "joint2 goes 0.52 beyond its limit" in said  # 3 rad against 2.5 less a margin of 0.02
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["rate_hz"] == pytest.approx(200.0) and {"level", "what", "advice"} == set(found["findings"][0])


def parts(make, split, gripper, count=300, rate=200.0):
    """States of joint1 and joint2, in one message or two, and of a gripper on the same topic with the same stamps."""
    for k in range(count):
        t = START + k / rate
        q, qd = np.array([np.sin(t), np.cos(t)]), np.array([np.cos(t), -np.sin(t)])
        held = ([0], [1]) if split else ([0, 1],)
        states = [make.state(t, q[at], qd=qd[at], names=[("joint1", "joint2")[j] for j in at]) for at in held]
        states += [make.state(t, np.zeros(1), qd=np.zeros(1), names=["finger"])] if gripper else []
        yield from (("/joint_states", STATE, t, state) for state in states)


@pytest.mark.parametrize("split", (True, False))
@pytest.mark.parametrize("gripper", (True, False))
def test_joints_of_several_messages_are_put_together_and_a_grippers_left_out(doctor, tmp_path, split, gripper):
    urdf = tmp_path / "arm.urdf"
    urdf.write_text(SETTINGS["robot.description"])
    code, said = doctor(parts(Messages(), split, gripper), "--robot", str(urdf))
    assert code == 0 and "0 errors, 0 warnings" in said and "all 2 joints are there" in said
    assert "joint states at 200 Hz" in said
    assert ("the joints come in several messages (600); they are put together" in said) == split
    assert ("300 messages hold none of the robot's joints; they are left out" in said) == gripper


def test_the_delay_is_measured_and_a_wrong_setting_is_named(doctor):
    rng, make, messages = np.random.default_rng(0), Messages(), []
    q, qd, under_way = np.zeros(2), np.zeros(2), [np.zeros(2)] * 3
    for k in range(1500):
        t, u = START + k / 200, 5.0 * rng.standard_normal(2)
        messages += [
            ("/joint_states", STATE, t, make.state(t, q, qd)),
            ("/commands", VECTOR, t + 1e-3, make.command(u, t)),
        ]
        under_way.append(u)  # acts three ticks after the state it answers
        q, qd = q + qd / 200, qd + under_way.pop(0) / 200 - 0.002 * qd
    code, said = doctor(messages)
    assert "but control.delay is 1 ticks" in said and "set control.delay: 3.0" in said


def test_init_writes_a_configuration_from_a_bag_that_loads(tmp_path, capsys):
    messages, _ = closed_loop(session=False)
    messages.insert(0, ("/robot_description", TEXT, START - 0.9, Messages().text(SETTINGS["robot.description"])))
    bag, file = write_bag(tmp_path / "bag", messages), tmp_path / "arm.yaml"
    assert main(["init", "--bag", str(bag), "-o", str(file)]) == 0
    values = read_settings(file)
    assert values["control.rate"] == RATE and values["robot.interface"] == "effort"
    assert load_robot(Configuration.from_flat(values).robot).joints == ("joint1", "joint2")
    assert (tmp_path / "arm.urdf").read_text() == SETTINGS["robot.description"]
    assert main(["init", "--bag", str(bag), "-o", str(file)]) == 2 and "exists already" in capsys.readouterr().err
    assert main(["doctor", str(bag), "--config", str(file)]) == 0


def test_init_takes_a_urdf_alone_and_asks_for_one_of_the_two(tmp_path, capsys):
    (tmp_path / "arm.urdf").write_text(SETTINGS["robot.description"])
    file = tmp_path / "arm.yaml"
    assert main(["init", "--urdf", str(tmp_path / "arm.urdf"), "-o", str(file)]) == 0
    text = file.read_text()
    assert "joint1: [-2.480, 2.480] rad or m, 1.5 per s (half of 3), effort 20" in text
    assert read_settings(file)["robot.joints"] == ["joint1", "joint2"]
    assert main(["init"]) == 2 and "Give --bag BAG, --urdf FILE" in capsys.readouterr().err


@pytest.mark.parametrize("scale, expected", [(1.0, "position"), (0.0, "velocity")])
def test_the_interface_is_the_one_that_the_commands_resemble(tmp_path, scale, expected):
    make, messages = Messages(), []
    for topic, kind, t, data in moving(make, count=300):
        q, qd = np.array([np.sin(t), np.cos(t)]), np.array([np.cos(t), -np.sin(t)])
        messages += [
            (topic, kind, t, data),
            ("/arm/commands", VECTOR, t - 0.0005, make.command(scale * q + (1 - scale) * qd)),
        ]
    file = tmp_path / "arm.yaml"
    assert main(["init", "--bag", str(write_bag(tmp_path / "bag", messages)), "-o", str(file)]) == 0
    assert read_settings(file)["robot.interface"] == expected
