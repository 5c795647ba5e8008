"""The package for colcon and for pip; doc/installation.md names every extra and what it is for."""

from distutils.command.install_data import install_data  # setuptools' own copy where Python has none
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

NAME = "mbrl_ros"
COMMANDS = {
    "mbrl": "mbrl_ros.cli.main:main",
    "mpc_node": "mbrl_ros.nodes.mpc_node:main",
    "guard_node": "mbrl_ros.nodes.guard_node:main",
    "sim_node": "mbrl_ros.nodes.sim_node:main",
    "distillation_node": "mbrl_ros.nodes.distillation_node:main",
    "record_node": "mbrl_ros.nodes.record_node:main",
    "replay_node": "mbrl_ros.nodes.replay_node:main",
    "model_health_node": "mbrl_ros.nodes.model_health_node:main",
    "view_node": "mbrl_ros.nodes.view_node:main",
    "display_node": "mbrl_ros.nodes.display_node:main",
    "feature_node": "mbrl_ros.nodes.feature_node:main",
}
URLS = {
    "Homepage": "https://mbrl-ros.example/",
    "Source": "https://mbrl-ros.example/repository",
    "Issues": "https://mbrl-ros.example/issues",
}
EXTRAS = {
    "wheels": ["ros-jazzy-rclpy", "ros-jazzy-rmw-fastrtps-cpp", "ros-jazzy-common-interfaces"],
    "wheels-kilted": ["ros-kilted-rclpy", "ros-kilted-rmw-fastrtps-cpp", "ros-kilted-common-interfaces"],
    "sim": ["mujoco", "adam-robotics[casadi]", "matplotlib"],
    "robots": ["example-robot-data"],
    "replay": ["rosbags"],
    "view": ["viser>=1.1", "trimesh", "pycollada"],
    "video": ["trimesh", "pycollada", "pillow>=10.1", "av"],
    "rerun": ["rerun-sdk>=0.24", "trimesh", "pycollada"],
    "dart": ["dartpy>=6.13"],
    "parquet": ["pyarrow"],
    "onnx": ["onnx"],
    "vision": ["opencv-python-headless>=4.7"],
    "keypoints": ["opencv-python-headless>=4.7", "onnxruntime"],
    "bench": ["crocoddyl", "osqp", "piqp", "matplotlib", "tqdm"],
    "peers": ["mim-solvers"],
    "jobs": ["joblib"],
    "dask": ["joblib", "distributed"],
    "ray": ["joblib", "ray"],
    "completion": ["shtab"],
    "learn": ["gymnasium[mujoco]", "matplotlib"],
    "model-free": ["skrl[jax]>=2.1"],
    # DART's wheels are for x86-64; elsewhere its tests are skipped
    "test": [
        "pytest>=7",
        "pytest-xdist",
        "jsonschema",
        "ruckig",
        "websockets>=15",
        "setuptools>=70.1",
        "dartpy>=6.13; platform_machine == 'x86_64'",
    ],
    "docs": ["sphinx>=8", "myst-parser>=4", "sphinx-rtd-theme>=3"],
    "check": ["ruff>=0.17.6,<0.18", "mypy>=2.4,<3", "interrogate", "catkin-pkg", "coverage>=7.10"],
}


class InstallData(install_data):
    """Install the data files, and a launcher for every command in the second place where it is looked for.

    A shell looks for commands in bin, where pip puts them; `ros2 run` and launch files look in lib/mbrl_ros,
    where colcon puts them (setup.cfg).
    """

    def run(self):
        """Install the data files, then write the launchers."""
        super().run()
        scripts = self.get_finalized_command("install").install_scripts
        by_colcon = Path(scripts).name == NAME
        here, there = ("bin", f"../lib/{NAME}") if by_colcon else (f"lib/{NAME}", "../../bin")
        folder = Path(self.install_dir, here)
        folder.mkdir(parents=True, exist_ok=True)
        for command in COMMANDS:
            launcher = folder / command
            launcher.write_text(f'#!/bin/sh\nexec "$(dirname "$0")/{there}/{command}" "$@"\n')
            launcher.chmod(0o755)
            self.outfiles.append(str(launcher))


class BuildPy(build_py):
    """Install the data files for an editable installation, too; setuptools would leave them out."""

    def run(self):
        """Build, and install the data files of an editable installation."""
        super().run()
        if self.editable_mode:
            self.run_command("install_data")


def shared(*folders):
    """Yield (folder under share, files) of every folder below `folders`."""
    for folder in sorted(path for top in folders for path in (Path(top), *Path(top).rglob("*")) if path.is_dir()):
        files = sorted(str(path) for path in folder.iterdir() if path.is_file())
        if files:
            yield f"share/{NAME}/{folder}", files


setup(
    name=NAME,
    version="0.1.0",
    description="Model-based reinforcement learning for robot arms on ROS 2: learns the dynamics while it moves, "
    "without a model of gravity, friction or load",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    url=URLS["Homepage"],
    project_urls=URLS,
    keywords=[
        "ROS 2",
        "robotics",
        "model predictive control",
        "model-based reinforcement learning",
        "iLQR",
        "system identification",
    ],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)),
        "Topic :: Scientific/Engineering",
        "Typing :: Typed",
    ],
    license="Apache-2.0",
    maintainer="mbrl_ros maintainers",
    maintainer_email="maintainers@mbrl-ros.example",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={"": ["*.cpp", "*.h"], NAME: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        *shared("launch", "config"),
    ],
    zip_safe=False,
    cmdclass={"install_data": InstallData, "build_py": BuildPy},
    install_requires=["casadi", "numpy", "pyyaml", "scipy"],
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [f"{name} = {function}" for name, function in COMMANDS.items()],
        "pytest11": ["mbrl_ros = mbrl_ros.pytest_plugin"],
    },
)
