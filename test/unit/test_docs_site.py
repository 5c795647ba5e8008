"""What `make docs` makes of docstrings and links, without Sphinx."""

import importlib.util
import sys

import pytest

from support import ROOT

MODULE = '''"""The norm |x| of *x* is `norm(x)`.

    y = |x|_2

is a formula.
"""
from ..base import Shape

class Box(Shape):
    """A box.

    Parameters
    ----------
    side
        its length [m].
    """

    size: float = 1.0

    def __init__(self, side: Shape):
        """Not shown twice."""

    @property
    def area(self) -> Shape:
        """Return the area [m^2]."""

    def _hidden(self):
        """Not public."""

def undocumented(): pass
'''


@pytest.fixture
def loaded(monkeypatch):
    """loaded(path of a file) -> its module"""
    monkeypatch.syspath_prepend(str(ROOT / ".ci"))

    def load(path):
        name = f"loaded_{path.stem}"
        specification = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(specification)
        monkeypatch.setitem(sys.modules, name, module)
        specification.loader.exec_module(module)
        return module

    return load


def test_the_api_shows_docstrings_as_they_are_and_whole_names_of_types(loaded, tmp_path):
    api = loaded(ROOT / ".ci" / "docs_api.py")
    package = tmp_path / "pack"
    (package / "room").mkdir(parents=True)
    (package / "base").mkdir()
    (tmp_path / "package.xml").touch()
    for folder in ("", "room", "base"):
        (package / folder / "__init__.py").write_text('"""A room."""\n')
    (package / "base" / "__init__.py").write_text("from .shape import Shape\n")
    (package / "base" / "shape.py").write_text('class Shape:\n    """A shape."""\n')
    (package / "room" / "box.py").write_text(MODULE)
    assert api.write(package, tmp_path / "api") == 4
    page = (tmp_path / "api" / "room.rst").read_text()
    assert r"The norm \|x\| of \*x\* is \ ``norm(x)``\ ." in page and r"| y = \|x\|\_2" in page
    assert ".. py:class:: Box(side: pack.base.shape.Shape)" in page
    assert "   .. py:property:: area\n      :type: pack.base.shape.Shape" in page
    assert "   | **side**\n   |    its length \\[m\\]." in page and "* ``size: float = 1.0``" in page
    assert "hidden" not in page and "undocumented" not in page and "Not shown" not in page


def test_a_room_of_the_package_has_a_page_with_its_public_classes(loaded):
    api = loaded(ROOT / ".ci" / "docs_api.py")
    room = ROOT / "mbrl_ros" / "safety"
    page, count = api.page(room, api.Names(room))
    assert count == len(list(room.glob("*.py")))
    assert ".. py:class:: Supervisor(" in page and "mbrl_ros.safety.arrest" in page


def test_a_dead_link_and_a_dead_anchor_are_found(loaded, tmp_path):
    docs = loaded(ROOT / ".ci" / "docs.py")
    (tmp_path / "a.html").write_text('<h1 id="top">A</h1><a href="b.html#in">b</a><a href="https://x.example/">x</a>')
    (tmp_path / "b.html").write_text('<p id="in"></p><a href="a.html#gone">a</a><img src="no%20picture.png">')
    assert docs.dead_links(tmp_path) == ["b.html: a.html#gone (no such anchor)", "b.html: no%20picture.png"]


def test_the_index_is_the_navigation_and_links_lead_into_the_site(loaded, tmp_path, monkeypatch):
    monkeypatch.setenv("MBRL_ROS_CHECKOUT", str(ROOT))
    conf = loaded(ROOT / "doc" / "conf.py")
    text = conf.navigation((ROOT / "doc" / "index.md").read_text(encoding="utf-8"))
    pages = {path.name for path in (ROOT / "doc").glob("*.md")} - {"index.md"}
    assert pages <= set(text.split()) and text.count("{toctree}") == 5
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "README.md").touch()
    assert conf.target("../README.md", "", tmp_path) == "project/README.md"
    assert conf.target("doc/safety.md", "project", tmp_path) == "../safety.md"
    assert (tmp_path / conf.target("../setup.py", "", tmp_path)).resolve() == ROOT / "setup.py"
    monkeypatch.setattr(conf, "CHECKOUT", tmp_path)
    assert conf.target("../setup.py", "", tmp_path) == f"{conf.REPOSITORY_URL}/setup.py"
    assert conf.target("https://x.example/", "", tmp_path) == "https://x.example/"
