"""mpc_node and guard_node against the real ros2_control: a controller is switched off and on, the manager is killed."""

import os
import subprocess
import time
from collections import deque

import numpy as np
import pytest
import yaml

from mbrl_ros.messages import readers
from support import ros2_control
from support.domains import new_domain
from support.guarded import JOINTS, PERIOD
from support.needs import needs, present
from support.robots import planar_arm
from support.ros import PATIENCE, NodeProcess, Peer

if present("rclpy"):
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray, String
    from std_srvs.srv import Trigger

    from mbrl_ros.nodes import qos

if present("ros2_control"):
    from ament_index_python.packages import get_package_prefix

pytestmark = needs("launch_ros", "rclpy", "package mbrl_ros", "ros2_control")

WINDOW = 0.045  # [s]
FORWARD, BROADCASTER = "forward_controller", "joint_state_broadcaster"
START, TARGET = [0.3, -0.4], {"joint1": -1.6, "joint2": 1.4}  # [rad]
HOME = dict(zip(TARGET, START, strict=True))
LIMIT = {"velocity": 3.0, "position": 2.5}  # of a command
AGAIN = 2.0  # [s] after which the arm is asked to move again: an intervention of more than 0.5 s ended in FAULT
SLACK = 1.25  # of the greatest speed; positions that come late are caught up with by the hardware, in any motion


def mock_urdf() -> str:
    """The arm with ros2_control's mock hardware, which integrates velocities and obeys positions."""
    joints = "".join(
        f"""<joint name="{name}"><command_interface name="position"/><command_interface name="velocity"/>
          <state_interface name="position"><param name="initial_value">{start}</param></state_interface>
          <state_interface name="velocity"/></joint>"""
        for name, start in zip(JOINTS, START, strict=True)
    )
    hardware = "<plugin>mock_components/GenericSystem</plugin><param name='calculate_dynamics'>true</param>"
    control = f"<ros2_control name='mock' type='system'><hardware>{hardware}</hardware>{joints}</ros2_control>"
    return planar_arm(2).replace("</robot>", f"{control}</robot>")


class Manager:
    """ros2_control_node with its controllers, and mpc_node with its guard."""

    def __init__(self, folder, interface: str):
        self.interface, self.domain = interface, new_domain()
        blocks = {
            "controller_manager": {
                "update_rate": round(1.0 / PERIOD),
                BROADCASTER: {"type": "joint_state_broadcaster/JointStateBroadcaster"},
                FORWARD: {"type": "forward_command_controller/ForwardCommandController"},
            },
            FORWARD: {"joints": JOINTS, "interface_name": interface},
        }
        self._file = folder / "controllers.yaml"
        self._file.write_text(yaml.safe_dump({name: {"ros__parameters": block} for name, block in blocks.items()}))
        arm = folder / "arm.urdf"
        arm.write_text(planar_arm(2))
        self.peer, self._bin = Peer(self.domain), f"{get_package_prefix('controller_manager')}/lib/controller_manager"
        description = self.peer.node.create_publisher(String, "/robot_description", qos.LATCHED)
        description.publish(String(data=mock_urdf()))
        self.speeds: list[float] = []  # over WINDOW [rad/s]
        self._stamps: deque[float] = deque(maxlen=100)
        self.positions: list[np.ndarray] = []
        self.peer.node.create_subscription(JointState, "/joint_states", self._on_state, 100)
        self.peer.listen(Float64MultiArray, f"/{FORWARD}/commands")
        remap = {"commands": f"{FORWARD}/commands"}
        self.guard = NodeProcess("guard_node", self.domain, {}, remap=remap)
        robot = {"robot.description": str(arm), "robot.interface": interface, "robot.joints": JOINTS}
        values = {**robot, "control.rate": 1.0 / PERIOD, "guard": "guard_node", "forward_controller": FORWARD}
        self.mpc = NodeProcess("mpc_node", self.domain, values, remap=remap)
        self.peer.processes += [self.guard, self.mpc]
        self.start()

    def start(self) -> None:
        """Start the manager, load its controllers and activate them."""
        self.environment = {**os.environ, "ROS_DOMAIN_ID": str(self.domain)}
        self.manager = subprocess.Popen(
            [f"{self._bin}/ros2_control_node", "--ros-args", "--params-file", str(self._file)], env=self.environment
        )
        spawner = subprocess.Popen(
            [f"{self._bin}/spawner", BROADCASTER, FORWARD, "--param-file", str(self._file)], env=self.environment
        )
        self.peer.until(lambda: spawner.poll() is not None, "the controllers")
        assert spawner.returncode == 0

    def close(self) -> None:
        """End everything."""
        self.peer.close()
        for process in (self.mpc, self.guard):
            process.kill()
        self.manager.kill()
        self.manager.wait()

    def _on_state(self, message) -> None:
        where = {name: i for i, name in enumerate(message.name)}
        if set(JOINTS) <= set(where):
            self.positions.append(np.array([message.position[where[name]] for name in JOINTS]))
            self._stamps.append(readers.seconds(message.header.stamp))
            back = next((k for k, stamp in enumerate(reversed(self._stamps)) if self._stamps[-1] - stamp > WINDOW), 0)
            if 0 < back < len(self.positions):
                way = np.abs(self.positions[-1] - self.positions[-1 - back]).max()
                self.speeds.append(float(way / (self._stamps[-1] - self._stamps[-1 - back])))

    def switch(self, *, on: bool) -> None:
        """Activate or deactivate the controller of commands."""
        ros2_control.switch(self.peer, FORWARD, on=on)

    def resume(self) -> None:
        """Clear and resume; a machine too busy for the guard is a fault, too."""
        for name in ("clear", "resume"):
            client = self.peer.node.create_client(Trigger, f"/mpc_node/{name}")
            self.peer.until(client.service_is_ready, f"~/{name}")
            future = client.call_async(Trigger.Request())
            self.peer.until(future.done, "an answer")
            self.peer.node.destroy_client(client)

    def move(self) -> None:
        """Clear, resume and send the target now and then until the arm moves."""
        publisher = self.peer.publisher(JointState, "/mpc_node/target_joints")
        self.speeds.clear()
        message, next_time = JointState(name=list(TARGET), position=list(TARGET.values())), 0.0

        def moving() -> bool:
            nonlocal next_time
            if time.monotonic() >= next_time:
                next_time = time.monotonic() + AGAIN
                self.resume()
                publisher.publish(message)
            return max(self.speeds, default=0.0) > 0.6

        self.peer.until(moving, "a motion")

    def wait(self, states: int) -> None:
        """Let so many states pass."""
        count = len(self.positions) + states
        self.peer.until(lambda: len(self.positions) >= count, "states")

    def arrive(self, target=TARGET) -> None:
        """Clear, resume and send the target until the arm is there."""
        publisher = self.peer.publisher(JointState, "/mpc_node/target_joints")
        goal, end = np.array(list(target.values())), time.monotonic() + PATIENCE
        while np.abs(self.positions[-1] - goal).max() > 0.02:
            assert time.monotonic() < end, f"it does not arrive: {self.positions[-1]}; {self.mpc.output}"
            self.resume()
            publisher.publish(JointState(name=list(target), position=list(target.values())))
            self.wait(300)


@pytest.fixture(params=("velocity", "position"))
def controlled(tmp_path, request):
    made = Manager(tmp_path, request.param)
    try:
        made.peer.until(lambda: made.positions, "states")
        yield made
    finally:
        made.close()


def check(arm: Manager) -> None:
    """Every command is finite and inside its limits."""
    values = np.array([message.data for message in arm.peer.heard[f"/{FORWARD}/commands"]])
    assert np.isfinite(values).all() and np.abs(values).max() <= LIMIT[arm.interface] + 1e-9


def undisturbed(arm: Manager) -> float:
    """Go to the target and back; return the greatest speed on the way there [rad/s]."""
    arm.move()
    arm.arrive()
    speed = max(arm.speeds)
    arm.arrive(HOME)
    return speed


def test_a_controller_that_is_switched_off_and_on_in_motion_does_not_catch_up(controlled):
    """The same way without a disturbance is the measure of the speed afterwards."""
    arm = controlled
    speed = undisturbed(arm)
    arm.move()
    arm.switch(on=False)
    arm.wait(200)
    arm.speeds.clear()
    arm.switch(on=True)
    arm.wait(300)
    assert max(arm.speeds) <= SLACK * speed
    arm.arrive()
    check(arm)


def test_a_manager_that_is_killed_and_started_again_finds_an_arm_that_goes_on_from_where_it_is(controlled):
    arm = controlled
    speed = undisturbed(arm)
    arm.move()
    arm.manager.kill()
    arm.manager.wait()
    arm.peer.until(lambda: "-> FAULT" in arm.mpc.output, "the fault")
    arm.positions.clear()
    arm.start()
    arm.wait(50)
    assert np.ptp(arm.positions, axis=0).max() < 0.01  # not led to where it was held before
    arm.speeds.clear()
    arm.wait(100)
    assert max(arm.speeds) < 0.05  # it stands until somebody clears the fault
    arm.arrive()
    assert max(arm.speeds) <= SLACK * speed
    check(arm)
