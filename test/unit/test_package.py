"""The package as users install it: metadata that agree, files that are all there, commands that are all listed."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import pytest

from mbrl_ros.cli import _pages, commands, parameters
from mbrl_ros.cli import main as cli
from mbrl_ros.cli.environment import prepare
from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.parameter_file import ParameterFile
from mbrl_ros.config.resources import config_file, share_directory
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.config.settings_file import read_settings
from mbrl_ros.exceptions import ConfigurationError
from support import ROOT
from support.needs import needs

CONFIGURATIONS = sorted((ROOT / "config").glob("*.yaml"))
ARM = re.compile(r"/\w+/mpc_node")  # the heading of one of several controllers


def run_setup(folder: Path, *command: object) -> None:
    """Run setup.py without leaving anything in the checkout."""
    line = [
        sys.executable,
        "setup.py",
        "--quiet",
        "egg_info",
        "--egg-base",
        folder,
        "build",
        "--build-base",
        folder / "base",
        "--build-lib",
        folder / "lib",
        *command,
    ]
    subprocess.run(line, cwd=ROOT, check=True, capture_output=True, timeout=120)


def test_versions_agree():
    version = ElementTree.parse(ROOT / "package.xml").findtext("version")
    assert re.search(r'version="(.*?)"', (ROOT / "setup.py").read_text()).group(1) == version
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.*)$", citation, re.MULTILINE).group(1) == version


@needs("catkin_pkg")
def test_package_xml_is_valid():
    """As rosdep, colcon and the release tools read it (REP 149), warnings included."""
    from catkin_pkg.package import parse_package

    warnings: list[str] = []
    package = parse_package(str(ROOT / "package.xml"), warnings=warnings)
    package.validate(warnings=warnings)
    assert warnings == [] and package.name == "mbrl_ros"


@needs("setuptools")
def test_every_module_source_and_shared_file_is_installed(tmp_path):
    run_setup(tmp_path, "install_data", "--install-dir", tmp_path / "prefix")
    built = {str(path.relative_to(top)) for top in (tmp_path / "lib", tmp_path / "prefix") for path in top.rglob("*")}
    modules = {path for pattern in ("*.py", "*.cpp", "*.h") for path in (ROOT / "mbrl_ros").rglob(pattern)}
    shared = {
        path
        for folder in ("launch", "config")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    wanted = {str(path.relative_to(ROOT)) for path in modules}
    wanted |= {f"share/mbrl_ros/{path.relative_to(ROOT)}" for path in shared}
    wanted |= {"share/mbrl_ros/package.xml", "share/ament_index/resource_index/packages/mbrl_ros"}
    assert wanted - built == set()


@needs("setuptools.command.bdist_wheel")
def test_ros2_run_finds_every_command_after_pip_install(tmp_path):
    run_setup(tmp_path, "bdist_wheel", "--bdist-dir", tmp_path / "wheel", "--dist-dir", tmp_path)
    (path,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        launchers = {
            name.rsplit("/", 1)[1]: archive.getinfo(name)
            for name in archive.namelist()
            if "/data/lib/mbrl_ros/" in name
        }
        commands = re.findall(r'^    "(\w+)": "mbrl_ros\.', (ROOT / "setup.py").read_text(), re.MULTILINE)
        assert commands and sorted(launchers) == sorted(commands)
        for name, entry in launchers.items():
            assert archive.read(entry).decode().endswith(f'exec "$(dirname "$0")/../../bin/{name}" "$@"\n')
            assert entry.external_attr >> 16 & 0o111, f"{name} is not executable"


def test_every_node_is_a_command():
    nodes = {path.stem for path in (ROOT / "mbrl_ros" / "nodes").glob("*_node.py")}
    assert nodes <= set(
        re.findall(r'^    "(\w+)": "mbrl_ros\.nodes\.\1:main"', (ROOT / "setup.py").read_text(), re.MULTILINE)
    )


@pytest.mark.parametrize(
    "before, after", [("", "{prefix}"), ("/opt/ros/jazzy", "{prefix}:/opt/ros/jazzy"), ("/ws:{prefix}", "/ws:{prefix}")]
)
def test_the_command_finds_its_own_ros_without_activation(tmp_path, monkeypatch, before, after):
    (tmp_path / "share" / "ament_index").mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("AMENT_PREFIX_PATH", before.format(prefix=tmp_path))
    prepare()
    assert os.environ["AMENT_PREFIX_PATH"] == after.format(prefix=tmp_path)


def test_help_lists_every_command():
    output = subprocess.run(
        [sys.executable, "-m", "mbrl_ros.cli.main", "--help"],
        cwd=ROOT,
        check=True,
        text=True,
        capture_output=True,
        timeout=60,
    ).stdout
    for words, module in cli.commands().items():
        assert re.search(rf"^    {words[0]}\b", output, re.MULTILINE), f"{module} is not in\n{output}"


@pytest.mark.parametrize("words", cli.commands(), ids=" ".join)
def test_every_command_has_options_and_help(words):
    known = cli.commands()
    assert cli.help_line(known[words])
    with pytest.raises(SystemExit) as ended:
        cli.build_parser(known, words).parse_args([*words, "--help"])
    assert ended.value.code == 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["parametres"], "did you mean 'parameters'?"),
        (["parameters", "--update", "no/such/file.md"], "no/such/file.md"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(capsys, arguments, message):
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and "Traceback" not in error


def test_a_missing_module_names_the_extra_that_brings_it():
    assert "mbrl_ros[sim]" in cli.missing(ModuleNotFoundError("", name="mujoco"))
    assert "source your ROS 2" in cli.missing(ModuleNotFoundError("", name="sensor_msgs.msg"))


def test_the_parameter_table_has_every_setting():
    table = parameters.tables()
    for key in [key for entries in parameters.settings().values() for key, _, _ in entries]:
        assert f"| `{key}` |" in table


def test_the_commands_page_has_every_command_and_every_option():
    text = commands.sections()
    for words in cli.commands():
        assert f"## mbrl {' '.join(words)}\n" in text
    for option in ("--lockstep", "--save-golden FILE", "--columns MAP"):
        assert f"| `{option}` |" in text


@pytest.mark.parametrize("command", ("parameters", "commands"))
def test_the_generated_page_is_up_to_date(command, capsys):
    page = ROOT / "doc" / f"{command}.md"
    assert cli.main([command, "--check", str(page)]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("command", ("parameters", "commands"))
def test_updating_replaces_the_table_and_nothing_else(tmp_path, command):
    page = tmp_path / "page.md"
    begin, end = _pages.markers(command)
    page.write_text(f"before\n{begin}\nstale\n{end}\nafter\n")
    assert cli.main([command, "--check", str(page)]) == 1
    assert cli.main([command, "--update", str(page)]) == 0
    assert cli.main([command, "--check", str(page)]) == 0
    assert page.read_text().startswith("before\n") and page.read_text().endswith(f"{end}\nafter\n")


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_every_configuration_holds_only_settings_that_exist(path):
    controller, node, simulation, *_ = ({key for key, _, _ in entries} for entries in parameters.settings().values())
    arms = [heading.removesuffix("/mpc_node") for heading in ParameterFile.read(path).blocks if ARM.fullmatch(heading)]
    for arm in arms or [""]:  # a file may hold several controllers
        values = read_settings(path, "mpc_node", f"{arm}/mpc_node" if arm else "")
        assert set(values) <= controller | node
        control = Configuration.from_flat(
            {key: value for key, value in values.items() if key in controller}, source=str(path)
        ).control
    values = read_settings(path, "sim_node")
    assert set(values) <= simulation | {key for key in controller if key.startswith("robot.")}
    plant = PlantSettings.from_mapping({key[6:]: value for key, value in values.items() if key.startswith("plant.")})
    assert plant.rate == control.rate  # one tick of the plant is one of the controller


def test_shared_files_are_found_and_a_wrong_name_is_answered():
    assert (share_directory() / "package.xml").is_file()
    assert config_file("panda") == share_directory() / "config" / "panda.yaml"
    with pytest.raises(ConfigurationError, match="did you mean 'panda'"):
        config_file("pandda")
