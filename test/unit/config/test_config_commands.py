"""`mbrl config show|validate|diff|schema`, `mbrl completion`: values with their origins, everything that is wrong."""

import json
import math
import shutil
import subprocess

import pytest

from mbrl_ros.cli import _numbers
from mbrl_ros.cli.main import main
from mbrl_ros.config.configuration import documented
from mbrl_ros.config.origins import placed, problems
from mbrl_ros.config.resources import config_file
from mbrl_ros.config.schema import schema
from support import ROOT

FILE = """\
/**:
  ros__parameters:
    robot: {description: "package-data:panda", joints: [panda_joint1, panda_joint2], tip: panda_hand, interface: effort}
/**/mpc_node:
  ros__parameters:
    planner:
      horizon: 20
    control.rate: 100.0
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "arm.yaml"
    path.write_text(FILE)
    return path


def run(*words) -> int:
    return main(["config", *map(str, words)])


def test_every_setting_is_shown_with_the_place_that_gives_it(file, tmp_path, capsys):
    later = tmp_path / "later.yaml"
    later.write_text("planner: {horizon: 25}\n")
    assert run("show", file, later, "--set", "control.rate=50.0", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert list(shown)[: len(list(documented()))] == [key for key, _, _ in documented()]
    assert shown["planner.horizon"] == {"value": 25, "default": 30, "unit": "ticks", "origin": f"{later}:1"}
    assert shown["control.rate"]["value"] == 50.0 and shown["control.rate"]["origin"] == "--set"
    assert shown["robot.tip"]["origin"] == f"{file}:3"
    assert shown["control.seed"] == {"value": 0, "default": 0, "unit": "", "origin": "default"}


def test_only_what_is_asked_for_is_shown(file, capsys):
    assert run("show", file, "--given", "--key", "planner.", "control.") == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split(":")[0] for row in rows] == ["control.rate", "planner.horizon"]
    assert rows[0].split() == ["control.rate:", "100.0", "Hz", f"{file}:8"]


@pytest.mark.parametrize(
    "words, why",
    [
        (["--set", "planer.horizon=3"], "did you mean 'planner.horizon'"),
        (["--set", "planner.horizon=3.5"], "must be a whole number"),
        (["--key", "planer."], "did you mean 'planner."),
        (["no_such_file.yaml"], "there is no file 'no_such_file.yaml'"),
    ],
)
def test_a_wrong_question_is_one_line(words, why, capsys):
    assert run("show", *words) == 2
    said = capsys.readouterr().err
    assert why in said and len(said.splitlines()) == 1


def test_what_is_wrong_is_found_all_at_once_with_file_and_line(tmp_path, capsys):
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        FILE.replace("interface: effort", "interface: effrot").replace("horizon: 20", "horizon: twenty")
        + "    control.delay: -1.0\n    planer.iterations: 3\n"
        "/**/sim_node:\n  ros__parameters:\n    plant.armature: ['0.1']\n    planner.horizon: 3\n"
    )
    assert run("validate", bad) == 1
    *lines, verdict = capsys.readouterr().out.splitlines()
    wanted = {3: "did you mean 'effort'", 7: "whole number", 9: "[0, 20] ticks", 10: "'planner.iterations'"}
    wanted |= {13: "without quotes", 14: "a setting of mpc_node"}
    assert [int(line.removeprefix(f"{bad}:").split(":")[0]) for line in lines] == list(wanted)
    assert all(why in line for why, line in zip(wanted.values(), lines, strict=True))
    assert verdict == "FAIL: 6 problems found, try: the remedies above"


def test_what_concerns_several_settings_or_the_robot_is_found(file, tmp_path, capsys):
    file.write_text(FILE.replace("panda_joint2", "panda_joint9"))
    assert run("validate", file) == 1
    assert f"{file}:3: " in (said := capsys.readouterr().out) and "did you mean 'panda_joint" in said
    assert run("validate", file, "--no-robot") == 0
    together = tmp_path / "together.yaml"
    together.write_text("supervisor: {nominal_after: 0.1}\nconsistency: {warning: 0.2, inconsistent: 0.6}\n")
    assert run("validate", together, "--no-robot") == 1
    assert "inconsistent" in capsys.readouterr().out


def test_files_that_cannot_be_read_are_said_and_the_others_are_still_looked_at(tmp_path):
    broken, wrong = tmp_path / "broken.yaml", tmp_path / "wrong.yaml"
    broken.write_text("a: [1\n")
    wrong.write_text("planner: {horizon: x}\n")
    found = problems([broken, wrong])
    assert len(found) == 2 and "is no YAML" in found[0] and found[1].startswith(f"{wrong}:1: 'planner.horizon'")


@pytest.mark.parametrize("name", [*sorted(path.stem for path in (ROOT / "config").glob("*.yaml"))])
def test_every_configuration_of_the_package_is_valid(name, capsys):
    assert run("validate", name, "--no-robot") == 0
    assert capsys.readouterr().out == "PASS\n"


def test_two_configurations_are_compared_by_their_values(file, tmp_path, capsys):
    other = tmp_path / "other.yaml"
    other.write_text(FILE.replace("horizon: 20", "horizon: 30"))
    assert run("diff", file, file) == 0
    assert capsys.readouterr().out.startswith("0 of ")
    assert run("diff", file, other) == 1
    expected = ["planner.horizon [ticks]", f"  - 20  ({file}:7)", f"  + 30  ({other}:7)"]
    assert capsys.readouterr().out.splitlines()[:3] == expected
    assert run("diff", other) == 1  # with the defaults: 30 is that of the horizon
    assert "planner.horizon" not in capsys.readouterr().out


def test_the_schema_takes_what_a_node_takes_and_refuses_what_it_refuses():
    jsonschema = pytest.importorskip("jsonschema")
    yaml = pytest.importorskip("yaml")
    jsonschema.Draft7Validator.check_schema(schema())
    validator = jsonschema.Draft7Validator(schema())
    for path in [*(ROOT / "config").glob("*.yaml"), *(ROOT / "test" / "data" / "init").glob("*.yaml")]:
        assert not list(validator.iter_errors(yaml.safe_load(path.read_text()))), path.name
    for parameters, right in (
        ({"planner": {"horizon": 20}}, True),
        ({"planner.horizon": 20, "use_sim_time": True}, True),
        ({"planner": {"ilqr.tolerance": 1}}, False),
        ({"cost": {"point_target": {"weight": 3.0}}}, True),
        ({"cost": {"point_target.weight": 3.0}}, True),
        ({"robot": {"velocity_scale": 0.5, "rotor_inertia": []}}, True),
        ({"planner": {"horizon": 2.5}}, False),
        ({"control": {"delay": -1.0}}, False),
        ({"robot": {"interface": "effrot"}}, False),
        ({"planer": {"horizon": 20}}, False),
    ):
        for heading in ("/**/mpc_node", "arm1"):
            block = {"ros__parameters": parameters}
            tree = {heading: block if heading != "arm1" else {"mpc_node": block}}
            assert validator.is_valid(tree) == right, tree


def test_the_schema_describes_every_setting_with_its_default_and_unit():
    definitions = schema()["definitions"]
    horizon = definitions["planner.PlannerSettings.horizon"]
    assert horizon["default"] == 30 and horizon["description"].endswith("[ticks]") and horizon["minimum"] >= 1
    assert {name for name in definitions if "." not in name} >= {"mpc_node", "sim_node", "distillation_node"}


def test_origins_of_another_kind_of_node():
    found = {entry.key: entry for entry in placed([config_file("panda")], kind="sim_node")}
    assert found["plant.armature"].value == (0.1,) and found["plant.armature"].given
    assert "planner.horizon" not in found


@pytest.mark.parametrize(
    "kind, right, wrong",
    [
        (_numbers.POSITIVE, ["0.1", "1e3"], ["0", "-1", "nan", "inf", "x", ""]),
        (_numbers.real(0.0, infinite=True), ["0", "inf"], ["-inf", "nan", "-0.1"]),
        (_numbers.COUNT, ["1", "7"], ["0", "-3", "1.5", "nan", "1e3"]),
        (_numbers.whole(0, 99), ["0", "99"], ["100", "-1"]),
    ],
)
def test_numbers_out_of_bounds_are_no_numbers(kind, right, wrong):
    import argparse

    assert all(math.isclose(kind(text), float(text)) or kind(text) == float(text) for text in right)
    for text in wrong:
        with pytest.raises(argparse.ArgumentTypeError, match="must be a"):
            kind(text)


@pytest.mark.parametrize(
    "words", [["demo", "--duration", "nan"], ["bench", "robots", "--jobs", "-1"], ["demo", "--nix"]]
)
def test_wrong_usage_is_one_line(words, capsys):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("mbrl: ") and len(said.splitlines()) == 1 and "--help" in said


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_options_and_choices(tmp_path, capsys):
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "mbrl.bash"
    script.write_text(capsys.readouterr().out)

    def completed(*words: str) -> set[str]:
        listed = " ".join(f"'{word}'" for word in ("mbrl", *words))
        asked = f"source {script}; COMP_WORDS=({listed}); COMP_CWORD={len(words)}; _shtab_mbrl; echo ${{COMPREPLY[@]}}"
        return set(subprocess.run(["bash", "-c", asked], check=True, capture_output=True, text=True).stdout.split())

    assert {"show", "validate", "diff", "schema"} <= completed("config", "")
    assert "--interface" in completed("demo", "--inter")
    assert completed("demo", "--interface", "") == {"effort", "velocity", "position"}
