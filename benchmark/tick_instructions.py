"""How many instructions one tick of the control loop takes, and how many it took in another version.

    python benchmark/tick_instructions.py [--against DIR] [--points 1] [--ticks 400 1400] [--tool auto]

DIR is a checkout of another version (`git worktree add DIR COMMIT`). Each version records a run of its closed loop, a
Panda from nothing with config/panda.yaml and the demo's targets, and then answers the recorded states without the
plant: the controller's step, the supervisor, and the record of the command that acted, in the order of the node's loop.
Counted are the user-space instructions of the process for the two numbers of ticks; their difference over the ticks
between is the result, so that starting and compiling cancel. An instruction is not a time, but it is the same on an
idle and a busy machine.

`perf stat -e instructions:u` counts where the kernel permits it, else valgrind (minutes): it knows no AVX-512, so that
the code it runs is compiled by another $CXX for x86-64-v3 instead of this processor. MANY may be fewer then: 400 to 800
take some four minutes a version. Exit code 0: at most LIMIT times DIR's.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 1.15  # times the instructions of the other version
SHORTEST = 8.0  # [s] of the demo's scenario
MARCH = "x86-64-v3"  # for valgrind
SINGLE = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")}


def record(package: Path, file: Path, points: int, ticks: int) -> None:
    """Run the closed loop for `ticks` periods, and keep what the loop saw and did."""
    import numpy as np

    from mbrl_ros.config.sections.references import ReferenceSettings
    from mbrl_ros.config.sections.simulation import CameraSettings, PlantSettings
    from mbrl_ros.config.settings_file import read_settings
    from mbrl_ros.scenarios.scenario import build_scenario
    from mbrl_ros.simulation.camera import Camera, random_pose
    from mbrl_ros.simulation.plant import Plant
    from mbrl_ros.types import Observation

    loop, robot = build(package, points)
    values = read_settings(package / "config" / "panda.yaml", "sim_node")
    plant = Plant(
        PlantSettings.from_mapping(
            {key.removeprefix("plant."): value for key, value in values.items() if key.startswith("plant.")}
        ),
        robot,
    )
    measurement = plant.reset()
    duration = max(SHORTEST, (ticks + 1) * plant.period)
    slots = build_scenario(robot, measurement.q, 0, duration=duration, reference=ReferenceSettings()).slots
    camera = Camera(CameraSettings(), random_pose(np.random.default_rng(0), plant.truth.tip)) if points else None
    rows: dict[str, list] = {name: [] for name in ("stamp", "q", "qd", "effort", "u", "frame")}
    for _ in range(ticks):
        frames = camera.tick(plant.time, plant.marks) if camera else ()
        observation = Observation(measurement.stamp, measurement.q, measurement.qd, frames)
        if not rows["u"]:
            begin(loop, slots)
        answer(loop, observation, measurement.effort)
        for name, value in (
            ("stamp", measurement.stamp),
            ("q", measurement.q),
            ("qd", measurement.qd),
            ("effort", measurement.effort),
            ("u", loop.outputs.u),
            (
                "frame",
                np.r_[frames[0].stamp, frames[0].points, frames[0].confidence]
                if frames
                else np.full(1 + 3 * points, np.nan),
            ),
        ):
            rows[name].append(value)
        measurement = plant.step(loop.outputs.u)
    print(
        f"{package.name}: state {loop.supervisor.state.name} after {ticks} ticks, tip "
        f"{1e3 * np.linalg.norm(plant.truth.tip - current(slots, plant.time)):.2f} mm from its target, "
        f"{sum(loop.statistics.events.values())} events",
        file=sys.stderr,
    )
    np.savez(
        file,
        times=[slot.start for slot in slots],
        targets=[slot.value for slot in slots],
        **{name: np.array(values) for name, values in rows.items()},
    )


def current(slots, time: float):
    """Return the target at `time` [s]; before the first one, the first."""
    return [slot.value for slot in slots if slot.start <= time or slot is slots[0]][-1]


def replay(package: Path, file: Path, points: int, ticks: int) -> None:
    """Answer the first `ticks` recorded states."""
    import numpy as np

    from mbrl_ros.scenarios.scenario import Slot
    from mbrl_ros.types import FeatureFrame, Observation

    data = dict(np.load(file))
    loop, _ = build(package, points)
    targets = zip(data["times"], data["targets"], strict=True)
    begin(loop, [Slot("point", start, start, value) for start, value in targets])
    for k in range(ticks):
        row = data["frame"][k]
        frames = (FeatureFrame(row[0], row[1 : 1 + 2 * points], row[1 + 2 * points :]),) if np.isfinite(row[0]) else ()
        loop.outputs.applied = data["u"][k]
        answer(loop, Observation(float(data["stamp"][k]), data["q"][k], data["qd"][k], frames), data["effort"][k])


class Outputs:
    """Takes what the loop hands out and keeps the last command u (nu,); `applied`: what acts instead of it."""

    def __init__(self) -> None:
        self.u = self.applied = None

    def command(self, stamp, u) -> None:
        """Keep the command."""
        self.u = u.copy()

    def tick(self, tick) -> None:
        """Publish nothing."""

    def event(self, event) -> None:
        """Keep no event log."""

    def log(self, level, text) -> None:
        """Print the text."""
        print(text, file=sys.stderr)


def build(package: Path, points: int):
    """Return the node's control cycle for the Panda, and the robot."""
    from mbrl_ros.config.settings_file import load_configuration
    from mbrl_ros.controllers.factory import build_controller
    from mbrl_ros.robots import load_robot
    from mbrl_ros.runtime.conditions import SteppedConditions
    from mbrl_ros.runtime.control_cycle import ControlCycle
    from mbrl_ros.safety.supervisor import Supervisor

    configuration = load_configuration(package / "config" / "panda.yaml", {"features.points": points})
    robot = load_robot(configuration.robot)
    controller = build_controller(robot, configuration)
    outputs = Outputs()
    cycle = ControlCycle(
        controller,
        Supervisor(robot, configuration.supervisor, controller.dt),
        outputs,
        SteppedConditions(lambda arrival, u: u if outputs.applied is None else outputs.applied),
        dt=controller.dt,
        timeout=configuration.control.state_timeout,
        lockstep=True,
    )
    return cycle, robot


def begin(loop, slots) -> None:
    """Give the controller its targets."""
    for slot in slots:
        loop.controller.set_point_target(slot.value, float(slot.start))


def answer(loop, observation, effort) -> None:
    """Let the loop answer one state."""
    from mbrl_ros.runtime.mailbox import Arrival

    loop.tick(Arrival(observation, observation.stamp, effort))


# --- counting, in the parent process --------------------------------------------------------------------------------


def has_perf() -> bool:
    """Return whether the kernel lets this user count instructions."""
    if shutil.which("perf") is None:
        return False
    done = subprocess.run(["perf", "stat", "-x,", "-e", "instructions:u", "true"], capture_output=True, text=True)
    return done.returncode == 0 and re.match(r"\d+,", done.stderr) is not None


def compiler(folder: Path) -> Path:
    """Write a $CXX that compiles for MARCH whatever -march it is given."""
    real = os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++") or "g++"
    path = folder / "cxx"
    path.write_text(
        f'#!/bin/sh\nfor a; do shift; case "$a" in -march=*) a=-march={MARCH};; esac; set -- "$@" "$a"; done\n'
        f'exec {real} "$@"\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


class Version:
    """One checkout, its recording and its counts."""

    def __init__(self, package: Path, folder: Path, tool: str, points: int, ticks: tuple[int, int]):
        self.package, self._folder = package.resolve(), folder
        self._tool, self._points, self._ticks = tool, points, ticks
        self._recording = folder / "recording.npz"
        self._environment = {**os.environ, **SINGLE, "PYTHONPATH": str(self.package), "PYTHONHASHSEED": "0"}
        if tool == "valgrind":
            cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mbrl_ros_tick_instructions"
            cache.mkdir(parents=True, exist_ok=True)
            self._environment.update(CXX=str(compiler(cache)), XDG_CACHE_HOME=str(cache))

    def per_tick(self) -> float:
        """Return the instructions of a tick."""
        few, many = self._ticks
        self._child("record", many, [])
        self._child("replay", 1, [])  # whatever is compiled for it is compiled now
        return (self._count(many) - self._count(few)) / (many - few)

    def _child(self, act: str, ticks: int, before: list[str]) -> str:
        done = subprocess.run(
            [
                *before,
                sys.executable,
                __file__,
                "--child",
                act,
                str(self.package),
                str(self._recording),
                "--points",
                str(self._points),
                "--ticks",
                "0",
                str(ticks),
            ],
            env=self._environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"{self.package}: {act} failed:\n{done.stderr}")
        if act == "record":
            print(done.stderr.strip(), flush=True)
        return done.stderr

    def _count(self, ticks: int) -> int:
        if self._tool == "perf":
            return int(
                re.search(
                    r"^(\d+),",
                    self._child("replay", ticks, ["perf", "stat", "-x,", "-e", "instructions:u"]),
                    re.MULTILINE,
                )[1]
            )
        printed = self._child(
            "replay", ticks, ["valgrind", "--tool=callgrind", f"--callgrind-out-file={self._folder}/out.{ticks}"]
        )
        return int(re.search(r"Collected : (\d+)", printed)[1])


def main() -> int:
    """Count the instructions of one or two versions; 1 where this one takes too many."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, metavar="DIR", help="a checkout of the version to compare with")
    parser.add_argument("--points", type=int, default=0, help="marks that a camera sees (the demo: 1)")
    parser.add_argument("--ticks", type=int, nargs=2, default=(400, 1400), metavar=("FEW", "MANY"))
    parser.add_argument("--tool", choices=("auto", "perf", "valgrind"), default="auto")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        act, package, file = args.child
        {"record": record, "replay": replay}[act](Path(package), Path(file), args.points, args.ticks[1])
        return 0
    tool = args.tool if args.tool != "auto" else "perf" if has_perf() else "valgrind"
    if shutil.which(tool) is None:
        raise SystemExit(f"{tool} is not installed")
    note = f", compiled code built with -march={MARCH} for every version" if tool == "valgrind" else ""
    print(f"counted by {tool}{note}", flush=True)
    counts = []
    for package in (ROOT, *([args.against] if args.against else [])):
        with tempfile.TemporaryDirectory() as folder:
            counts.append(Version(package, Path(folder), tool, args.points, tuple(args.ticks)).per_tick())
        print(f"{package}: {counts[-1] / 1e6:.3f} M instructions per tick", flush=True)
    if len(counts) == 1:
        return 0
    ratio = counts[0] / counts[1]
    print(
        f"{'PASS' if ratio <= LIMIT else 'FAIL'}: {ratio:.3f} times the instructions of {args.against}, "
        f"at most {LIMIT:g} wanted"
    )
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
