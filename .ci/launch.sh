#!/usr/bin/env bash
# `.ci/launch.sh FOLDER`: the launch tests with the real launch system, launch_pytest and ros2_control that FOLDER has
# packed (prefix.tar.xz, for x86-64 and Python 3.11), in an environment of their own in build/ros2. pytest is that of
# ROS 2 Jazzy, 7.4.4; launch_testing's plugin is loaded, so all tests are collected here too.
set -euo pipefail
cd "$(dirname "$0")/.."
pack=$1
python=${PYTHON311:-python3.11}
work=$PWD/build/ros2

if [ "$(uname -m)" != x86_64 ] || ! command -v "$python" >/dev/null; then
  echo "not run: it needs x86-64 and Python 3.11 ('$python'; PYTHON311 names another)"
  exit 0
fi
if ! cmp --silent "$pack/prefix.tar.xz" "$work/prefix.tar.xz"; then
  rm -rf "$work"
  mkdir -p "$work/logs"
  tar --extract --xz --file "$pack/prefix.tar.xz" --directory "$work"
  mv "$work/prefix" "$work/install"
  "$python" -m venv "$work/.venv"
  cp "$pack/prefix.tar.xz" "$work/prefix.tar.xz"
fi
echo "launch: installing mbrl_ros and ROS 2 Jazzy's wheels into build/ros2"
"$work/.venv/bin/python" -m pip install --quiet --editable '.[sim,robots,replay,wheels]' 'pytest==7.4.4' psutil filelock

export W=$work
unset PYTHONPATH
set +u # env.sh reads variables that may be unset
. "$pack/env.sh"
set -u
python -m pytest --quiet --collect-only -p no:cacheprovider | tail -n 1
python .ci/sessions.py launch
echo "launch: tests over DDS that need control_msgs or tf2_msgs, which the wheels lack"
exec python -m pytest --quiet -p no:cacheprovider test/integration/test_{trajectory_action,jogging,topics,security}.py
