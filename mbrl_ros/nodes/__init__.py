"""The ROS 2 nodes and what only they need. Nothing outside this room, demo/session and bench/node imports ROS."""
