"""The quality of service of every topic, in one place."""

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy

RELIABLE = QoSProfile(depth=10)  # commands: none is lost; a late subscriber gets no old ones
TARGET_QOS = QoSProfile(depth=100)  # a whole sequence of targets may be sent at once
STATUS = QoSProfile(depth=200)  # one per tick; a subscriber may be busy for a while
EVERY = QoSProfile(depth=50)  # states and features in lockstep, and from sim_node: none may be lost
NEWEST = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)  # states and features in real time
NEWEST_IMAGE = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)  # an image takes long to be searched
# for the guard: a state may come in a message for each joint, and in lockstep each state counts
STATES_IN_PARTS = QoSProfile(depth=32, reliability=ReliabilityPolicy.BEST_EFFORT)
IMAGES = QoSProfile(depth=5)  # of the simulated camera: large, and in lockstep none may be lost
HISTORY = QoSProfile(depth=200, durability=DurabilityPolicy.TRANSIENT_LOCAL)  # the event log, for late subscribers too
TRANSFORMS = QoSProfile(depth=100)  # as tf2_ros listens to /tf
STATIC_TRANSFORMS = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)  # robot_description
VIEW = QoSProfile(depth=1)  # plan and markers, for displays
MARKER_UPDATES = QoSProfile(depth=100)  # of interactive markers: a display asks anew where one is lost

HEARTBEAT_PERIOD = 0.02  # [s]
# DDS tells a subscriber that asks for the same lease when the control thread has published nothing for so long.
HEARTBEAT = QoSProfile(
    depth=1, liveliness=LivelinessPolicy.MANUAL_BY_TOPIC, liveliness_lease_duration=Duration(seconds=0.1)
)
