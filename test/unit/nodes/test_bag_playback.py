"""Which messages of a bag are played, and the ticks of the clock between them; a hundred times faster than recorded."""

import pytest

from mbrl_ros.config.sections.nodes import ReplayNodeSettings
from mbrl_ros.nodes.bag_playback import BagPlayback

MS = 1_000_000  # [ns]
STATES = [("/joint_states", "sensor_msgs/msg/JointState", 1000 * MS + 100 * MS * k, bytes([k])) for k in range(5)]
DESCRIPTION = ("/robot_description", "std_msgs/msg/String", 1000 * MS, b"urdf")


class Bag:
    """What BagPlayback uses of a BagStream."""

    def messages(self, topics):
        return (message for message in (DESCRIPTION, *STATES) if message[0] in topics)


def played(topics=("/joint_states",), stop_after=100, **settings):
    """(what is published, in order: messages' contents and ticks' stamps [ms]; the playback)."""
    out = []

    def publish(message):
        out.append(message[3])
        if len(out) == stop_after:
            playback.stop()

    playback = BagPlayback(
        Bag(),
        topics,
        ReplayNodeSettings(rate=100.0, **settings),
        publish=publish,
        tick=lambda stamp: out.append(stamp // MS),
    )
    return out, playback


def test_messages_and_ticks_come_in_the_order_of_their_stamps():
    out, playback = played(clock_rate=20.0)
    assert playback.run() == (5, 1)
    ticks = [entry for entry in out if isinstance(entry, int)]
    assert ticks == list(range(1000, 1401, 50))
    assert [entry for entry in out if isinstance(entry, bytes)] == [bytes([k]) for k in range(5)]
    for k in range(5):  # each message after the tick of its stamp, before the next one
        assert out.index(bytes([k])) == out.index(1000 + 100 * k) + 1


def test_without_a_clock_there_are_no_ticks():
    out, playback = played(clock_rate=0.0)
    assert playback.run() == (5, 1)
    assert out == [bytes([k]) for k in range(5)]


def test_a_section_of_the_bag_keeps_the_description():
    out, playback = played(("/joint_states", "/robot_description"), clock_rate=0.0, begin=0.15, end=0.35)
    assert playback.run() == (3, 1)
    assert out == [b"urdf", bytes([2]), bytes([3])]


def test_a_loop_goes_on_until_it_is_stopped():
    _, playback = played(clock_rate=0.0, loop=True, stop_after=12)
    assert playback.run() == (12, 3)
    assert playback.stopping


@pytest.mark.parametrize("paused", (False, True))
def test_pause_and_resume(paused):
    _, playback = played(paused=paused)
    assert playback.playing is not paused
    playback.resume()
    assert playback.playing
    playback.pause()
    assert not playback.playing
