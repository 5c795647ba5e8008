"""Plug-ins of this package and of others: a folder on sys.path that looks like an installed distribution."""

import pytest

from mbrl_ros.cli import main as cli
from mbrl_ros.config import registry
from mbrl_ros.config.configuration import Configuration, section_types
from mbrl_ros.config.settings_file import load_configuration
from mbrl_ros.exceptions import ConfigurationError
from support.distributions import PLUGIN, installing


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution."""
    yield from installing(tmp_path, monkeypatch)


def test_the_built_in_plug_ins_are_the_modules_that_define_settings_and_build():
    assert {"effort", "joint_target", "point_target", "command_change"} <= set(registry.names("cost"))
    assert set(registry.names("prior")) == {"distilled", "ensemble", "global_linear", "gmm", "integrator", "rigid_body"}
    assert "base" not in registry.names("controller") and "base" not in registry.names("planner")
    for family in registry.FAMILIES:
        for name in registry.names(family):
            module = registry.load(family, name)
            module.Settings(), module.build
    assert registry.problems() == []


def test_a_plug_in_of_another_package_takes_settings_like_a_built_in_one(install, tmp_path):
    install("spirit_level", {"costs": {"level": "spirit_level_cost"}}, {"spirit_level_cost": PLUGIN.format(weight=0.0)})
    before = [name for name in registry.names("cost") if name != "level"]
    assert registry.names("cost") == [*before, "level"], "the terms of the built-in costs keep their order"
    assert registry.load("cost", "level").build({}, None) == {}
    configuration = Configuration.from_flat({"cost.level.weight": 2, "cost.level.height": 0.5})
    assert configuration.costs["level"].to_mapping() == {"weight": 2.0, "height": 0.5}
    assert configuration.flat()["cost.level.height"] == 0.5 and "cost.level" in section_types()
    assert Configuration().costs["level"].to_mapping()["weight"] == 0.0
    file = tmp_path / "arm.yaml"
    file.write_text("/**/mpc_node:\n  ros__parameters: {cost: {level: {weight: 3e0}}}\n")
    assert load_configuration(file).costs["level"].to_mapping()["weight"] == 3.0
    with pytest.raises(ConfigurationError, match=r"cost\.level\.hight'; did you mean 'cost\.level\.height'"):
        Configuration.from_flat({"cost.level.hight": 0.5})


@pytest.mark.parametrize(
    ("point", "source", "reason"),
    [
        ({"level": "level_x1"}, None, "level_x1 fails with ModuleNotFoundError"),
        ({"level": "level_x2"}, "1 / 0", "level_x2 fails with ZeroDivisionError"),
        ({"level": "level_x3"}, "def build(settings, context): ...", "level_x3 does not define Settings"),
        ({"level": "level_x4"}, "class Settings: ...\nbuild = None", "Settings is not a dataclass derived from"),
        ({"level": "level_x5"}, PLUGIN.format(weight=0.0) + "build = 3", "level_x5.build is not a function"),
        ({"level": "level_x6"}, PLUGIN.format(weight=1.0), "must be 0, so that installing the package"),
        ({"level": "level_x7"}, PLUGIN.format(weight=-1.0), "level_x7 fails with ConfigurationError"),
        ({"level": "level_x8:Settings"}, PLUGIN.format(weight=0.0), "write level = level_x8"),
        ({"spirit-level": "level_x9"}, PLUGIN.format(weight=0.0), "must consist of letters, digits and underscores"),
    ],
)
def test_a_broken_plug_in_is_reported_and_harms_only_those_who_name_it(install, point, source, reason, capsys):
    (name,) = point
    module = point[name].partition(":")[0]
    install("spirit_level", {"costs": point}, {module: source} if source else {})
    Configuration.from_flat({"cost.effort.weight": 2.0})
    for use in (lambda: registry.load("cost", name), lambda: Configuration.from_flat({f"cost.{name}.weight": 1.0})):
        with pytest.raises(
            ConfigurationError, match=f"the cost '{name}' of spirit_level 1.2 cannot be used: .*"
        ) as refused:
            use()
        assert reason in str(refused.value)
    (problem,) = registry.problems()
    assert reason in problem and "\n" not in problem
    assert cli.main(["parameters"]) == 0
    assert capsys.readouterr().err == f"mbrl: {problem}\n"


def test_a_name_that_two_packages_use_is_nobodys(install):
    for name in ("first", "second"):
        install(name, {"priors": {"level": f"{name}_prior"}}, {f"{name}_prior": PLUGIN.format(weight=0.0)})
    with pytest.raises(
        ConfigurationError, match="of first 1.2 and second 1.2 cannot be used: both packages use this name"
    ):
        registry.load("prior", "level")
    assert len(registry.problems()) == 1


def test_a_built_in_plug_in_stays_in_use_when_a_package_takes_its_name(install):
    install("spirit_level", {"costs": {"effort": "effort_of_x"}}, {"effort_of_x": PLUGIN.format(weight=0.0)})
    assert registry.load("cost", "effort").__name__ == "mbrl_ros.costs.effort"
    (problem,) = registry.problems()
    assert "the cost 'effort' of spirit_level 1.2 cannot be used: mbrl_ros has a cost of this name" in problem


def test_an_unknown_plug_in_names_the_nearest(install):
    with pytest.raises(ConfigurationError, match="no prior named 'integrater'; .*did you mean 'integrator'"):
        registry.load("prior", "integrater")
