"""pixi.toml, the Dockerfile and devcontainer.json name extras, files and distributions that there are."""

import json
import re

import pytest

from support import ROOT

EXTRAS = set(re.findall(r'^    "([\w-]+)": \[', (ROOT / "setup.py").read_text(), re.MULTILINE))
WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
(DISTRIBUTIONS,) = (names.split(", ") for names in re.findall(r"distribution: \[(.*)\]", WORKFLOW))


def test_pixi_has_an_environment_for_each_distribution_from_its_own_channel():
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 or later")
    pixi = tomllib.loads((ROOT / "pixi.toml").read_text())
    assert list(pixi["environments"]) == DISTRIBUTIONS and pixi["workspace"]["name"] == "mbrl_ros"
    for name in DISTRIBUTIONS:
        feature = pixi["feature"][name]
        assert pixi["environments"][name] == [name]
        assert feature["channels"] == [f"https://prefix.dev/robostack-{name}"]
        assert {package.split("-")[1] for package in feature["dependencies"]} == {name}
    assert set(pixi["pypi-dependencies"]["mbrl_ros"]["extras"]) <= EXTRAS


def test_the_container_installs_extras_that_there_are_and_the_files_it_is_made_from_exist():
    folder = ROOT / ".devcontainer"
    text = re.sub(r"^\s*//.*$", "", (folder / "devcontainer.json").read_text(), flags=re.MULTILINE)
    container, dockerfile = json.loads(text), (folder / "Dockerfile").read_text()
    assert (folder / container["build"]["dockerfile"]).is_file()
    assert (folder / container["build"]["context"]).resolve() == ROOT
    assert container["build"]["args"]["ROS"] in DISTRIBUTIONS
    assert re.search(r"^ARG ROS=(\w+)$", dockerfile, re.MULTILINE).group(1) in DISTRIBUTIONS
    for installed in (container["postCreateCommand"], dockerfile):
        (extras,) = re.findall(r"'\.\[(.*?)\]'", installed)
        assert set(extras.split(",")) <= EXTRAS
