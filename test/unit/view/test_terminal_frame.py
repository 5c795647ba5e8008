"""A frame of `mbrl top`: what it says of a recorded status, of silence, and of texts that a terminal would obey."""

import math

import pytest

from mbrl_ros.view.terminal import BAR_LENGTH, Board, Limits, Part, RateWindow, bar, frame

# ~/status of a Panda at 200 Hz on its way to a pose, as it was published.
STATUS = {
    "stamp": 12.345,
    "tick": 2269.0,
    "decision_status": 0.0,
    "supervisor_state": 2.0,
    "supervisor_reasons": 0.0,
    "compute_ms": 1.214,
    "latency_ms": 1.631,
    "period_ms": 5.02,
    "missed": 3.0,
    "nis": 4.2,
    "nis_bound": 14.07,
    "rejected": 1.0,
    "late": 0.0,
    "targets": 6.0,
    "target_kind": 3.0,
}


def board() -> Board:
    shown = Board("/mpc_node", status=dict(STATUS), supervisor="ACTIVE: nothing wrong", age=0.01, state_age=0.01)
    shown.progress = {"trust": 0.97, "distance": 0.0123, "angle": 0.01, "outcome": 0.0, "time_left": math.inf}
    shown.positions = {"joint1": 0.0, "finger": 0.04}
    shown.velocities = {"joint1": 1.9}
    shown.limits = {"joint1": Limits(-2.0, 2.0, 2.0)}
    shown.diagnostics = {
        "control loop": Part(0, "in time", {"latency p99 [ms]": "4.39524", "compute p99 [ms]": "2.9"}),
        "joint_states": Part(1, "1 rejected", {}),
    }
    shown.rate = 199.6
    return shown


def test_it_shows_rate_misses_trust_delay_joints_guard_and_what_is_wrong():
    shown = board()
    shown.diagnostics["model"] = Part(0, "", {"delay in use [ticks]": "1", "delay estimated [ticks]": "0.842403"})
    shown.guard, shown.guard_age = {"state": "forwarding", "refused": "0"}, 0.1
    text = "\n".join(frame(shown, 200))
    for words in (
        "/mpc_node   ACTIVE: nothing wrong",
        "rate 199.6 Hz   missed 3 (- lately)",
        "state to command 1.63 ms, p99 4.40",
        "trust 0.97   NIS over its bound 0.30",
        "delay 1.00 ticks, estimated 0.84",
        "target pose, on the way, 12.3 mm, 0.6 deg   accepted 6   rejected inputs 1",
        "guard: state forwarding   refused 0",
        "WARN joint_states: 1 rejected",
    ):
        assert words in text
    joint = next(line for line in text.split("\n") if line.startswith("joint1"))
    assert "limits not known" in next(line for line in text.split("\n") if line.startswith("finger"))
    assert joint.split()[2] == bar(0.5) and joint.split()[4] == bar(0.975)
    assert "in time" not in text


def test_what_is_missing_or_silent_is_said():
    assert "no status has come" in "\n".join(frame(Board("/mpc_node")))
    assert "no joint state has come" in "\n".join(frame(Board("/mpc_node")))
    shown = board()
    shown.age = shown.state_age = 3.21
    text = "\n".join(frame(shown))
    assert "no status for 3.2 s" in text and "the newest state is 3.2 s old" in text and "none is heard" in text


def test_it_fits_the_terminal_and_obeys_nothing_that_came_from_elsewhere():
    shown = board()
    shown.supervisor = "ACTIVE: \x1b[2J" + "x" * 300
    shown.messages.extend(f"message {k}\n\x1b]0;title\x07" for k in range(20))
    lines = frame(shown, 60, 12)
    assert len(lines) == 12 and all(len(line) <= 60 and line.isprintable() for line in lines)
    colored = frame(shown, 60, color=True)
    assert any("\x1b[3" in line for line in colored) and "\x1b[2J" not in "".join(colored)
    assert "message 19" in "".join(frame(shown)) and "message 3" not in "".join(frame(shown))


@pytest.mark.parametrize("share, mark", ((0.0, 0), (1.0, BAR_LENGTH - 1), (-0.5, 0), (7.0, BAR_LENGTH - 1)))
def test_a_bar_marks_the_place_between_the_limits_and_what_is_beyond(share, mark):
    cells = bar(share)[1:-1]
    assert len(cells) == BAR_LENGTH and cells[mark] == {-0.5: "<", 7.0: ">"}.get(share, "#")
    assert "#" not in bar(math.nan)


def test_the_rate_is_that_of_the_last_seconds_and_begins_anew_after_a_restart():
    window = RateWindow(2.0)
    assert math.isnan(window.rate)
    for k in range(1000):
        window.add(0.005 * k, float(k), float(k // 100))
    window.add(math.nan, 0.0, 0.0)
    assert window.rate == pytest.approx(200.0) and window.missed == 4.0
    window.add(1.0, 0.0, 0.0)
    assert math.isnan(window.rate)
