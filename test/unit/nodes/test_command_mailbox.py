"""sim_node's commands: which one answers the newest state, and what happens when none does."""

import numpy as np
import pytest

from mbrl_ros.exceptions import MbrlError
from mbrl_ros.nodes.command_mailbox import CommandMailbox


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
