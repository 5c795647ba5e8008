"""A robot from its URDF: joints and limits (robot), end-effector kinematics, nominal rigid-body dynamics."""

from .robot import Robot, load_robot

__all__ = ["Robot", "load_robot"]
