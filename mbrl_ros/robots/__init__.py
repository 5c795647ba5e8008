"""A robot from its URDF: joints and limits (robot), end-effector kinematics, inertia, nominal dynamics."""

from .robot import Robot, load_robot

__all__ = ["Robot", "load_robot"]
