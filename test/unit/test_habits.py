"""The files that a contributor and a hosted service read are well-formed and agree with the package."""

import re
import xml.etree.ElementTree as ElementTree

import pytest
import yaml

from support import ROOT

CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))


def test_the_citation_has_what_the_format_requires():
    """Citation File Format 1.2.0: required keys, and kinds of values."""
    assert CITATION["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(CITATION)
    assert all("name" in author or {"family-names", "given-names"} <= set(author) for author in CITATION["authors"])
    assert CITATION["license"] == ElementTree.parse(ROOT / "package.xml").findtext("license")


def test_the_workflow_covers_the_distributions_and_pythons_that_the_documentation_names():
    matrices = {name: job["strategy"]["matrix"] for name, job in WORKFLOW["jobs"].items()}
    assert matrices["ros"]["distribution"] == ["jazzy", "kilted", "lyrical"]
    assert matrices["wheels"]["python"] == ["3.10", "3.11", "3.12", "3.13"]
    assert matrices["core"]["python"] == ["3.14"]
    page = (ROOT / "doc" / "installation.md").read_text(encoding="utf-8")
    assert all(name.capitalize() in page for name in matrices["ros"]["distribution"])


def test_the_workflow_runs_commands_that_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    steps = [step["run"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "run" in step]
    made = {target for step in steps for target in re.findall(r"^make ([a-z]+)", step)}
    assert made and made <= targets


@pytest.mark.parametrize("name", ("bug_report", "feature_request"))
def test_issue_templates_have_their_front_matter(name):
    text = (ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.md").read_text(encoding="utf-8")
    front = yaml.safe_load(re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)[1])
    assert front["name"] and front["about"]


def test_a_bug_report_asks_for_the_doctor_and_a_bag():
    text = (ROOT / ".github" / "ISSUE_TEMPLATE" / "bug_report.md").read_text(encoding="utf-8")
    assert "mbrl doctor" in text and "mbrl record" in text


def test_pre_commit_and_the_guide_name_the_same_versions():
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = {hook["id"]: hook for repository in config["repos"] for hook in repository["hooks"]}
    assert {"ruff-check", "ruff-format", "mypy"} <= set(hooks)
    (ruff,) = {entry for hook in hooks.values() for entry in hook.get("additional_dependencies", [])}
    assert ruff.replace("==", " ") in guide


def test_reports_go_to_the_maintainer_of_the_package():
    address = ElementTree.parse(ROOT / "package.xml").find("maintainer").get("email")
    assert address in (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert address in {author["email"] for author in CITATION["authors"]}
