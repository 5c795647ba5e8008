"""The guard between mpc_node's commands and the robot's controller: no import from the rest of the package, and no ROS.

settings.py        the parameters of guard_node, and their bounds
messages.py        what mpc_node tells the guard, and what the guard reports: both sides read and write it here
command_bytes.py   commands as they come, read without a message object
command_check.py   whether a command of mpc_node is good, and whether it may follow the guard's own one
states.py          joint states: read when they are needed only
joint_parts.py     ... put together where they come in several messages
laws.py            the safe command of each interface
guard.py           which command is next: mpc_node's or the safe one
lockstep.py        ... where each state gets exactly one command
simulated_time.py  /clock without its leaps, for mpc_node too
"""
