#!/usr/bin/env bash
# Debian's tools that some launch tests use (check_urdf, ign sdf) and a library of ros2_control. They are installed only as
# root, only where apt-get works, and only what is missing; without them the tests that need them are skipped.
set -u
needed=()
command -v check_urdf >/dev/null || needed+=(liburdfdom-tools)
if ! { gz sdf --versions || ign sdf --versions; } >/dev/null 2>&1; then
  needed+=(ignition-tools libsdformat-dev)
fi
ldconfig -p 2>/dev/null | grep -q 'libfmt\.so\.9' || needed+=(libfmt9)
[ ${#needed[@]} = 0 ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "not installed, and not root on a Debian system: ${needed[*]}"
  exit 0
fi
log=$(mktemp)
for package in "${needed[@]}"; do
  if timeout 300 apt-get install --yes --quiet --no-install-recommends "$package" >"$log" 2>&1 ||
    { timeout 300 apt-get update --quiet >"$log" 2>&1 &&
      timeout 300 apt-get install --yes --quiet --no-install-recommends "$package" >"$log" 2>&1; }; then
    echo "installed $package"
  else
    echo "cannot install $package: $(tail -n 1 "$log")"
  fi
done
rm -f "$log"
