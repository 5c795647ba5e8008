"""After a pause of mpc_node, or of a robot that was switched off, in mid-motion: what follows begins anew."""

import signal

import numpy as np
import pytest

from support.needs import needs
from support.simulated_arm import ACCELERATION, AWAY, DT, GIVE_UP, simulated_arm

pytestmark = [needs("rclpy"), pytest.mark.realtime]  # it pauses a process for a time
BURST = 3.0  # of the acceleration limit, velocity interface: commands' changes within one period after a pause
# Of the planned speed. Position commands that were late or lost are made up for at 1.1 times it, and the servo answers
# two that arrive in one period with up to 0.28 of it more: its step response has a slope of at most 0.55 / LAG.
FASTEST = {"velocity": 1.05, "position": 1.1 + 0.28, "effort": 1.05}


@pytest.mark.slow
@pytest.mark.parametrize("interface", ["velocity", "position", "effort"])
def test_after_its_own_pause_and_a_robot_that_was_off_a_motion_begins_anew(tmp_path, interface):
    with simulated_arm(tmp_path, interface) as arm:
        arm.begin()
        arm.settle()
        planned = motion(arm, lambda: arm.run(0.01))
        most = FASTEST[interface] * planned[0], 1.2 * max(planned[1], ACCELERATION)

        def stop():
            arm.node.signal(signal.SIGSTOP)
            arm.run(1.0, patience=0.0)
            arm.node.signal(signal.SIGCONT)

        speed, acceleration = motion(arm, stop)
        print(interface, "planned", planned, "after a pause", speed, acceleration)
        assert speed <= most[0]
        # What waited is answered at once: a few commands, each a period's change from the one before, leave within one
        # period. A servo of positions half makes up for two of them in one. After a second on its last effort an arm is
        # at another pose, where nobody knows yet what carries it.
        assert interface != "velocity" or acceleration <= BURST * ACCELERATION
        assert "NO_COMMAND" in arm.interruptions or "CLOCK_JUMP" in arm.interruptions

        if interface != "effort":  # an arm that ignores efforts falls

            def switch_off():
                arm.obeys = False
                arm.run(2.0)
                arm.obeys = True

            speed, acceleration = motion(arm, switch_off)
            print(interface, "planned", planned, "after being off", speed, acceleration)
            assert speed <= most[0]
            assert interface == "position" or acceleration <= most[1]


def motion(arm, disturb) -> tuple[float, float]:
    """A motion to AWAY that is disturbed: (speed, acceleration) of the arm after that."""
    arm.settle()
    arm.target(AWAY)
    arm.run(0.8)
    disturb()
    begin = len(arm.speeds)
    # What was sent to a process that had stopped may have filled its socket, so that the first states after it are
    # lost. A robot sends the next ones; were simulated time to wait for an answer, the node would brake by wall time.
    arm.run(10 * DT, patience=GIVE_UP)
    arm.run(5.0)
    assert np.abs(arm.q - AWAY).max() < 0.03 and arm.state == "ACTIVE", (arm.q, arm.state, arm.node.output)
    return arm.highest(begin)
