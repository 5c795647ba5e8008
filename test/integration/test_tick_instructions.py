"""`mbrl bench tick` counts real instructions, in a process of its own."""

import pytest

from mbrl_ros.bench.counters import available
from mbrl_ros.bench.tick.count import Job
from mbrl_ros.bench.tick.measure import counted_in_a_process
from mbrl_ros.bench.tick.repeated import record
from mbrl_ros.config.resources import config_file
from mbrl_ros.config.settings_file import load_configuration


@pytest.mark.slow
def test_instructions_are_counted_part_by_part():
    tool, reason = available()
    if not tool:
        pytest.skip(reason)
    configuration = load_configuration(config_file("panda"))
    job = Job(configuration, record(configuration, {}, 12), 6, 6)
    counted = counted_in_a_process(job, tool)
    parts = counted["by_part"]
    assert 5e5 < counted["instructions"] < 2e7
    assert sum(parts.values()) == pytest.approx(counted["instructions"], rel=1e-9)
    assert all(value > 0.0 for value in parts.values()) and parts["planner"] > parts["reference"]
    assert abs(counted["correction"]) < 0.1
