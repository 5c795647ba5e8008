"""Names come from other people's robots and bags: no writer of this package lets one of them do anything."""

import dataclasses
import html.parser
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace
from xml.sax.saxutils import quoteattr

import numpy as np
import pytest
import yaml

from mbrl_ros.config.scalars import quoted
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.settings_file import read_settings
from mbrl_ros.console.plain import plain_output, printable
from mbrl_ros.console.verdict import Verdict
from mbrl_ros.demo import report
from mbrl_ros.distillation import student
from mbrl_ros.distillation.export import comment, to_c
from mbrl_ros.distillation.fit import fit
from mbrl_ros.distillation.policy import fingerprint
from mbrl_ros.replay.finding import error, text
from mbrl_ros.replay.initial import initial
from mbrl_ros.replay.page import page_of
from mbrl_ros.replay.table import Table, read_csv
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.meshes import shaped
from mbrl_ros.robots.urdf import parse, reduced
from support.robots import planar_arm, planar_robot
from support.teaching import SETTINGS, N, taught_samples

MADE = [
    '*/ __attribute__((constructor)) void f(void) { system("touch x"); } /*',
    "*\\",
    "/",
    "*??/\n/ int x = 1; /*",
    "</title><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a: b\n      tip: hand",
    'a\' , "b": [1',
    "\x1b[2J\x1b]0;title\x07",
    "\x9b31m",
    "\u202egnp.exe",
    "a\u2028b\u0085c",
    "yes",
    "1e3",
    "~",
    "#x",
    "${x}$y",
    "a,b\n1,2",
    "é 関節 🤖",
    "-",
    "%s%n{0}",
    "../../etc/passwd",
]
PIECES = [
    *"*/\\?<>&\"'{}[]:#,%$@`!|~- \t\n\r",
    "*/",
    "/*",
    "//",
    "??/",
    "\x00",
    "\x1b[",
    "\x7f",
    "\x9b",
    "\u2028",
    "é",
    "a",
]


def names(count=60, seed=0):
    """Names made to do harm, and random ones of what does harm."""
    rng = np.random.default_rng(seed)
    return MADE + ["".join(rng.choice(PIECES, rng.integers(1, 12))) for _ in range(count)]


def valid_in_xml(name):
    return re.sub("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "_", name)


# --- C --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def policy():
    return fit(taught_samples(planar_robot(N), 300), planar_robot(N), "point", SETTINGS.replace(iterations=2))[0]


def exported(policy, name):
    """The C of a policy whose robot's names are all `name`."""
    joints = tuple(f"{name}{i}" for i in range(N))
    robot = dataclasses.replace(planar_robot(N), root=name)
    shape = dataclasses.replace(policy.shape, joints=joints)
    assert isinstance(shape, student.Shape)
    named = dataclasses.replace(policy, shape=shape, about={**policy.about, "robot": name, "note": name})
    kept = dataclasses.replace(robot, joints=joints)

    class Unchecked(type(named)):
        """The same policy, which is not asked whose it is: the names in its robot's URDF are others."""

        __slots__ = ()

        def check(self, robot):
            pass

    fields = {field.name: getattr(named, field.name) for field in dataclasses.fields(named)}
    assert fingerprint(kept)
    return to_c(Unchecked(**fields), dataclasses.replace(robot, joints=planar_robot(N).joints), 100.0)


@pytest.mark.slow
def test_names_stay_inside_of_their_comment_in_c(policy):
    plain = exported(policy, "joint")
    code = plain[plain.index("*/") :]
    for name in names():
        source = exported(policy, name)
        head, end, rest = source.partition("*/")
        assert end + rest == code, repr(name)  # the first comment ends where it always does, and the code is the same
        assert head.count("\n") == plain.partition("*/")[0].count("\n") and head.isascii()
        assert not re.search(r"\\|\?\?|/\*", head[2:])


def test_the_exported_file_compiles_without_a_warning_and_runs_nothing(policy, tmp_path):
    compiler = shutil.which("cc") or pytest.skip("there is no C compiler")
    for i, name in enumerate(MADE[:4]):
        (tmp_path / f"p{i}.c").write_text(exported(policy, name))
        done = subprocess.run(
            [compiler, "-std=c99", "-trigraphs", "-Wcomment", "-Werror=comment", "-c", f"p{i}.c"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert b"touch" not in (tmp_path / f"p{i}.o").read_bytes()


def test_a_comment_keeps_what_is_harmless():
    assert comment('panda_joint1 {"loss": 0.5, "a/b": [1]}') == 'panda_joint1 {"loss": 0.5, "a/b": [1]}'


# --- YAML -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names())
def test_a_name_in_yaml_is_read_as_it_was(name):
    name = name.replace("\ud800", "")
    written = quoted(name)
    assert "\n" not in written and written.isprintable()
    assert yaml.safe_load(f"a: {written}")["a"] == name
    assert yaml.safe_load(f"# {written}\na: 1") == {"a": 1}


def test_half_a_character_is_replaced():
    assert quoted("a\ud800b:").encode() and yaml.safe_load(quoted("a\ud800b:")) == "a\ufffdb:"


@pytest.mark.slow(but=16)
@pytest.mark.parametrize("name", [name for name in names(30) if valid_in_xml(name).strip()])
def test_the_first_configuration_holds_the_joint_and_nothing_else(tmp_path, name):
    name = valid_in_xml(name)
    urdf = planar_arm(2).replace('"joint1"', quoteattr(name, {"\n": "&#10;", "\t": "&#9;", "\r": "&#13;"}))
    made = initial(None, "arm.urdf", urdf)
    (tmp_path / "robot.yaml").write_bytes(made.yaml.encode())
    values = read_settings(tmp_path / "robot.yaml")
    assert list(values["robot.joints"]) == [name, "joint2"]
    plain = initial(None, "arm.urdf", planar_arm(2)).yaml
    assert made.yaml.count("\n") == plain.count("\n") and sorted(values) == sorted(_settings(plain, tmp_path))


def _settings(text, folder):
    (folder / "plain.yaml").write_text(text)
    return read_settings(folder / "plain.yaml")


# --- URDF -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in names(30) if valid_in_xml(name).strip()])
def test_a_name_in_a_urdf_is_read_as_it_was(name):
    name = valid_in_xml(name)
    written = planar_arm(2).replace('"joint1"', quoteattr(name, {"\n": "&#10;", "\t": "&#9;", "\r": "&#13;"}))
    robot = load_robot(RobotSettings(), written)
    assert robot.joints == (name, "joint2")
    for root in (reduced(robot.urdf, robot.joints), shaped(robot.urdf, robot.joints)):
        again = parse(ElementTree.tostring(root, encoding="unicode"))
        assert [joint.name for joint in again.joints if joint.movable] == [name, "joint2"]
        assert len(again.links) == len(parse(robot.urdf).links)


# --- HTML -----------------------------------------------------------------------------------------------------------


class Tags(html.parser.HTMLParser):
    """Counts the elements of a page, and the attributes that run something."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, tuple(sorted(key for key, _ in attributes))))


@dataclasses.dataclass
class Page:
    """What the page of a replay shows of it, every text a name."""

    name: str

    def __post_init__(self):
        self.summary = {"bag": self.name, self.name: self.name, "numbers": {self.name: 1.0}}
        self.events = [SimpleNamespace(time=1.0, text=self.name)]
        self.setup = SimpleNamespace(notes=[self.name])


def test_names_on_a_page_are_text(tmp_path):
    picture = tmp_path / "p.png"
    picture.write_bytes(b"png")

    def pages(name):
        judged = Verdict(False, name, 1.0, name)
        return page_of(Page(name), {name: picture}, judged), report.page(
            name, judged, name, name, {name: name}, {name: picture}, name
        )

    plain = [Tags(page).found for page in pages("joint")]
    for name in names():
        assert [Tags(page).found for page in pages(name)] == plain, repr(name)


# --- terminal and tables --------------------------------------------------------------------------------------------

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def test_a_terminal_obeys_no_name(capsys):
    for name in names():
        assert not OBEYED.search(printable(name))
        assert not re.search("[\n\t]", printable(name, kept=""))
        line = text([error(f"no topic '{name}'", name)])
        assert line.count("\n") == 2 and not OBEYED.search(line)
        with plain_output():
            print("found", name)
        assert not OBEYED.search(capsys.readouterr().out)
    assert printable("é 関節 🤖\tä\n") == "é 関節 🤖\tä\n" and printable("\x1b[31m\u202e") == "\\x1b[31m\\u202e"


def test_the_command_line_says_a_name_and_does_not_obey_it(tmp_path, capsys):
    from mbrl_ros.cli.main import main

    name = "\x1b]0;title\x07"
    assert main(["doctor", str(tmp_path / name)]) == 2
    assert main([name]) == 2
    said = capsys.readouterr().err
    assert "\\x1b]0;title\\x07" in said and not OBEYED.search(said)


def test_names_in_the_table_of_a_replay_are_read_as_they_were(tmp_path):
    for name in names(20):
        name = name.replace("\r", "").replace("\x00", "")
        table = Table({"u": (name, "b")})
        table.add(u=[1.0, 2.0])
        table.write_csv(tmp_path / "ticks.csv")
        read = read_csv(tmp_path / "ticks.csv")
        assert list(read) == [f"u.{name}", "u.b"] and read[f"u.{name}"] == [1.0]
    assert json.dumps("\x1b") == '"\\u001b"'  # the JSON that commands write
