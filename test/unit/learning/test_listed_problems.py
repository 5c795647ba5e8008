"""`mbrl learn`: what only a planner solves is listed with its command, and refused as a task."""

import re

from mbrl_ros.cli.main import commands, main


def test_the_list_names_the_command_of_what_only_a_planner_solves(capsys):
    assert main(["learn", "--list"]) == 0
    (command,) = re.findall(r"^  parking .*: mbrl (.*)$", capsys.readouterr().out, re.MULTILINE)
    assert tuple(command.split()) in commands()


def test_a_problem_of_a_planner_is_no_task(capsys):
    assert main(["learn", "--method", "online", "--task", "parking"]) == 2
    err = capsys.readouterr().err
    assert "nothing to learn: mbrl bench parking" in err and err.count("\n") == 1
