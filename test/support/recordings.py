"""A bag of numbered states, written by the recorder."""

from mbrl_ros.data.bag_writer import RotatingBag
from support.replay_bags import START, STATE, TEXT, Messages


def states(count: int) -> list[tuple[int, bytes]]:
    make = Messages()
    return [(round(1e9 * (START + k / 100)), make.state(START + k / 100, [k, -k], [0.0, 0.0])) for k in range(count)]


def recorded(folder, messages, **options) -> RotatingBag:
    bag = RotatingBag(folder, **options)
    assert bag.add_topic("/joint_states", STATE) and bag.add_topic("/robot_description", TEXT, latched=True)
    bag.write("/robot_description", messages[0][0] - 1, Messages().text("<robot/>"))
    for stamp, data in messages:
        bag.write("/joint_states", stamp, data)
    return bag
