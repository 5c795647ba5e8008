"""The simulated robot as an MJCF file with a motor for every joint, for mujoco_ros2_control."""

from __future__ import annotations

from pathlib import Path

from ..config.sections.simulation import PlantSettings
from ..exceptions import ConfigurationError
from ..robots import Robot
from .model import compiled, mujoco
from .plant_model import plant_spec


def write_mjcf(robot: Robot, settings: PlantSettings, path: Path) -> None:
    """Write what sim_node would simulate, with actuators that have the names, and limits, of the robot's joints.

    Raises
    ------
    ConfigurationError
        The robot is not moved by efforts: the gains of a servo belong to the robot, and MuJoCo's are not known here.
    RobotDescriptionError
        MuJoCo cannot simulate the model.
    """
    if robot.interface != "effort":
        raise ConfigurationError(
            f"an MJCF for mujoco_ros2_control is written for robot.interface: effort, not '{robot.interface}', whose "
            "servos need gains of their own: give a model with <position> or <velocity> actuators as mujoco_model",
            key="robot.interface",
            value=robot.interface,
        )
    spec = plant_spec(settings, robot)
    for name, low, high in zip(robot.joints, robot.command_lower, robot.command_upper, strict=True):
        motor = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        motor.ctrllimited, motor.ctrlrange = True, (float(low), float(high))
    compiled(spec)
    path.write_text(spec.to_xml())
