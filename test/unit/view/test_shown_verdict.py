"""The verdict on the page: from the summary of a run, escaped, and nothing from what is no summary."""

import json

import pytest

from mbrl_ros.console.verdict import Verdict
from mbrl_ros.exceptions import DataError
from mbrl_ros.view.panel import text_of
from mbrl_ros.view.shown_verdict import RUNNING, ShownVerdict, verdict_of
from mbrl_ros.view.snapshot import Snapshot

FAILED = Verdict(False, "the arm was <lost>", 2.5, "another --seed")


def test_it_runs_until_the_summary_is_there_and_follows_its_changes(tmp_path):
    file = tmp_path / "summary.json"
    shown = ShownVerdict(str(file))
    assert shown.line() == RUNNING
    file.write_text(json.dumps({"verdict": FAILED.to_json()}))
    assert shown.line() == FAILED.line() == "FAIL: the arm was <lost>, since 2.50 s, try: another --seed"
    file.write_text(json.dumps({"verdict": Verdict(True).to_json()}))
    assert shown.line() == shown.line() == "PASS"
    file.unlink()
    assert shown.line() == "PASS"
    assert ShownVerdict("").line() == ""


@pytest.mark.parametrize("content", ("", "{", "[]", "{}", '{"verdict": 1}', '{"verdict": {"pass": false, "why": 1}}'))
def test_what_is_no_summary_is_said_once(content, tmp_path):
    file = tmp_path / "summary.json"
    file.write_text(content)
    shown = ShownVerdict(str(file))
    with pytest.raises(DataError, match="no summary with a verdict"):
        shown.line()
    assert shown.line() == RUNNING  # until the file changes
    with pytest.raises(DataError):
        verdict_of(file)


def test_its_types_are_those_of_a_verdict(tmp_path):
    file = tmp_path / "summary.json"
    file.write_text(json.dumps({"verdict": {"pass": False, "why": "x", "since_s": "soon", "try": ""}}))
    with pytest.raises(DataError):
        verdict_of(file)
    with pytest.raises(DataError):
        verdict_of(tmp_path)


def test_the_panel_shows_it_first_and_escapes_it():
    text = text_of(Snapshot(verdict=FAILED.line()))
    assert text.index("FAIL: the arm was &lt;lost&gt;") < text.index("state") and "<lost>" not in text
    assert "FAIL" not in text_of(Snapshot()) and "background" not in text_of(Snapshot())
    colors = {text_of(Snapshot(verdict=line)).split("background: ")[1][:7] for line in ("PASS", RUNNING, "FAIL: x")}
    assert len(colors) == 3
