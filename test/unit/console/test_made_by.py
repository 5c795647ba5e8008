"""Every report names the command that made it, and when."""

import re

from mbrl_ros.console import made_by as made
from mbrl_ros.console.verdict import Verdict
from mbrl_ros.demo.report import page


def test_a_page_ends_with_the_command_and_the_date(monkeypatch):
    monkeypatch.setattr(made.sys, "argv", ["/somewhere/bin/mbrl", "demo", "--output", "my <runs>", "--seed", "3"])
    content = page("demo", Verdict(True), "A headline", "", {"seed": 3}, {})
    command = "Made by mbrl demo --output &#x27;my &lt;runs&gt;&#x27; --seed 3"
    end = rf"<p>{re.escape(command)} on 20\d\d-\d\d-\d\d \d\d:\d\d UTC\.</p></html>\n$"
    assert re.search(end, content), content[-300:]
