"""ROS messages to values, by duck type: no ROS import."""
