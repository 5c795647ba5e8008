"""sim_node's commands: which one answers the newest state, and what happens when none does."""

import numpy as np
import pytest

from mbrl_ros.exceptions import MbrlError
from mbrl_ros.nodes.command_mailbox import CommandMailbox
from mbrl_ros.nodes.command_topics import parse_command_topics


def never(waited):
    raise AssertionError("the state was sent again")


def test_only_the_answer_to_the_newest_state_is_waited_for():
    mailbox, resent = CommandMailbox(), []
    mailbox.expect(2.0)
    mailbox.put(1.0, np.array([1.0]))  # late, for the state before
    assert mailbox.newest() == [1.0]

    def resend(waited):
        resent.append(waited)
        mailbox.put(2.0 + 1e-9, np.array([2.0]))

    assert mailbox.wait(60.0, 1e-3, resend) == [2.0]
    assert len(resent) == 1


def test_a_command_without_a_stamp_answers_the_newest_state():
    mailbox = CommandMailbox()
    mailbox.expect(5.0)
    mailbox.put(None, np.array([3.0]))
    assert mailbox.wait(60.0, 60.0, never) == [3.0]
    mailbox.expect(5.1)
    assert mailbox.newest() is None


def test_a_missing_command_is_an_error_that_names_the_state():
    mailbox = CommandMailbox()
    mailbox.expect(7.5)
    with pytest.raises(MbrlError, match=r"stamped 7\.5 s"):
        mailbox.wait(0.0, 1e-3, never)


def test_the_end_ends_the_waiting():
    mailbox = CommandMailbox()
    mailbox.expect(1.0)
    mailbox.close()
    assert mailbox.wait(60.0, 60.0, never) is None


# --- several controllers of one robot ---------------------------------------------------------------------------------

LEFT, RIGHT = np.array([1.0, 2.0]), np.array([3.0])
PARTS = {"left/commands": [2, 0], "right/commands": [1]}


def test_the_commands_of_several_topics_are_put_together_in_the_robot_s_order():
    mailbox, resent = CommandMailbox(PARTS), []
    mailbox.expect(1.0)
    assert mailbox.newest() is None
    mailbox.put(1.0, LEFT, "left/commands")
    np.testing.assert_array_equal(mailbox.newest(), [2.0, np.nan, 1.0])  # nothing of the right arm has come yet
    np.testing.assert_array_equal(mailbox.wait(60.0, 60.0, never, of_all=False), [2.0, np.nan, 1.0])

    def resend(waited):
        resent.append(waited)
        mailbox.put(1.0, RIGHT, "right/commands")

    np.testing.assert_array_equal(mailbox.wait(60.0, 1e-3, resend), [2.0, 3.0, 1.0])
    assert len(resent) == 1
    mailbox.expect(1.1)
    assert mailbox.newest() is None
    mailbox.put(1.0, 2.0 * RIGHT, "right/commands")  # late; what the left arm was commanded last stays
    np.testing.assert_array_equal(mailbox.newest(), [2.0, 6.0, 1.0])


def test_a_topic_that_does_not_answer_is_named():
    mailbox = CommandMailbox(PARTS)
    mailbox.expect(7.5)
    mailbox.put(7.5, LEFT, "left/commands")
    with pytest.raises(MbrlError, match=r"no command on right/commands for the state stamped 7\.5 s"):
        mailbox.wait(0.0, 1e-3, never)


def test_every_joint_belongs_to_one_topic():
    assert parse_command_topics((), ("a", "b")) == {}
    entries = ("left/commands c a", "right/commands b")
    assert parse_command_topics(entries, ("a", "b", "c")) == PARTS


@pytest.mark.parametrize(
    "entries, said",
    (
        (("left/commands",), "must be a topic and its joints"),
        (("",), "must be a topic and its joints"),
        (("left a", "left b"), "names its topic twice"),
        (("left a", "right c"), "'c'"),
        (("left a",), "joint 'b' must belong to one topic, and belongs to 0"),
        (("left a b", "right b"), "joint 'b' must belong to one topic, and belongs to 2"),
    ),
)
def test_a_wrong_division_of_the_joints_says_what_is_wrong(entries, said):
    with pytest.raises(MbrlError, match=said):
        parse_command_topics(entries, ("a", "b"))
