"""Every report names the command that made it, when, with which versions and on which machine."""

import platform
import re

from mbrl_ros.console import made_by as made
from mbrl_ros.console.verdict import Verdict
from mbrl_ros.demo.report import page


def test_a_page_ends_with_versions_machine_command_and_date(monkeypatch):
    monkeypatch.setattr(made.sys, "argv", ["/somewhere/bin/mbrl", "demo", "--output", "my <runs>", "--seed", "3"])
    content = page("demo", Verdict(True), "A headline", "", {"seed": 3}, {})
    command = "Made by mbrl demo --output &#x27;my &lt;runs&gt;&#x27; --seed 3"
    with_it = rf"<p>Versions: Python {re.escape(platform.python_version())}, .*numpy .* Machine: .+ cores, .+\.</p>"
    end = rf"{with_it}\n<p>{re.escape(command)} on 20\d\d-\d\d-\d\d \d\d:\d\d UTC\.</p></html>\n$"
    assert re.search(end, content), content[-300:]
