"""Files of settings are found by their path or by their name in config/."""

import pytest

from mbrl_ros.config.resources import config_file, settings_path, share_directory
from mbrl_ros.config.settings_file import load_configuration
from mbrl_ros.exceptions import ConfigurationError


def test_a_name_is_a_file_of_config_and_a_path_is_itself(tmp_path, monkeypatch):
    assert settings_path("ur5") == config_file("ur5.yaml") == share_directory() / "config" / "ur5.yaml"
    monkeypatch.chdir(tmp_path)
    assert settings_path("ur5.yaml") == config_file("ur5"), "there is no such file here"
    (tmp_path / "ur5.yaml").write_text("control.rate: 50.0\n")
    assert load_configuration(settings_path("ur5.yaml")).control.rate == 50.0


def test_what_is_not_there_is_named():
    with pytest.raises(ConfigurationError, match="no configuration named 'pandas'.*did you mean 'panda'"):
        settings_path("pandas")
    with pytest.raises(ConfigurationError, match="there is no file 'arm.yaml' in this folder"):
        settings_path("arm.yaml")
    with pytest.raises(ConfigurationError, match="'arm.urdf' is no file of settings.*mbrl init --urdf arm.urdf"):
        settings_path("arm.urdf")
    with pytest.raises(ConfigurationError, match="'/dev/zero' is neither a file of settings.*nor a URDF"):
        settings_path("/dev/zero")
    with pytest.raises(ConfigurationError, match="nowhere/arm.yaml: cannot be read"):
        load_configuration(settings_path("nowhere/arm.yaml"))
