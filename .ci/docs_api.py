"""The API's pages, from the docstrings in the syntax trees: nothing of the package is imported, nor what it needs.

The docstrings are plain text with numpydoc's sections: |x| is a norm there and not a substitution, an indented block is
a formula or a table. So they are shown as they were written, with `code` as code.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator
from pathlib import Path

SECTIONS = ("Parameters", "Returns", "Yields", "Raises", "Attributes", "Notes", "References", "Examples")
MARKUP = re.compile(r"([*|_\\`<>\[\]:])")
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def escaped(line: str) -> str:
    """Return a line for reStructuredText that shows it as it stands."""
    parts = re.split(r"(`+[^`]+`+)", line)
    for k, part in enumerate(parts):
        code = part.strip("`")
        if part.startswith("`") and code and code == code.strip():
            parts[k] = rf"\ ``{code}``\ "
        else:
            parts[k] = MARKUP.sub(r"\\\1", part)
    return "".join(parts)


def as_text(docstring: str) -> list[str]:
    """Return the lines of a docstring as reStructuredText: paragraphs, line blocks for what is indented, sections."""
    shown: list[str] = []
    section, lines = False, docstring.split("\n")
    for k, line in enumerate(lines):
        text, indented = line.strip(), line.startswith(" ")
        following = lines[k + 1].strip() if k + 1 < len(lines) else ""
        if section and text and not text.strip("-") and lines[k - 1].strip() in SECTIONS:
            continue  # the line below a section's name
        block = shown[-1].startswith("|") if shown else False
        if text in SECTIONS and following and not following.strip("-"):
            section = True
            shown += ["", f"**{text}**", ""]
        elif not text:
            shown.append("")
        elif section:
            strong = "" if indented or "`" in text else "**"  # markup does not nest
            shown.append(f"| {'   ' if indented else ''}{strong}{escaped(text)}{strong}")
        elif indented:
            shown += ([] if block or not shown or not shown[-1] else [""]) + [f"| {escaped(text)}"]
        else:
            shown += ([""] if block else []) + [escaped(text)]
    return shown


class Names:
    """Whole names of the types in annotations, so that each links to the one that is meant.

    `tables` {module: {name: whole name}}: what a module defines and imports of the package.
    """

    def __init__(self, package: Path):
        self._tables: dict[str, dict[str, str]] = {}
        for module, path in modules(package, private=True):
            found = self._tables.setdefault(module, {})
            base = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.level:
                    origin = [*base[: len(base) - node.level + 1], *(node.module.split(".") if node.module else [])]
                    for alias in node.names:
                        found.setdefault(alias.asname or alias.name, ".".join([*origin, alias.name]))
                elif isinstance(node, (ast.ClassDef, ast.Assign)):
                    defined = [node.name] if isinstance(node, ast.ClassDef) else [ast.unparse(e) for e in node.targets]
                    found.update({name: f"{module}.{name}" for name in defined if name.isidentifier()})

    def whole(self, module: str, name: str) -> str:
        """Return the whole name of `name` as it is used in `module`, through what other modules pass on."""
        dotted = self._tables.get(module, {}).get(name, "")
        origin, _, last = dotted.rpartition(".")
        if dotted and origin != module and last in self._tables.get(origin, {}):
            return self.whole(origin, last)
        return dotted or name

    def annotation(self, module: str, node: ast.expr | None) -> ast.expr | None:
        """Return an annotation with whole names."""
        if node is None:
            return None
        node = ast.parse(ast.unparse(node), mode="eval").body
        for entry in ast.walk(node):
            if isinstance(entry, ast.Name):
                entry.id = self.whole(module, entry.id)
        return node


def signature(node: ast.FunctionDef | ast.AsyncFunctionDef, bound: bool, names: Names, module: str) -> str:
    """Return '(arguments) -> type' of a function; of one that is `bound` without its first argument."""
    arguments = copy.deepcopy(node.args)
    if bound and arguments.args:
        arguments.args = arguments.args[1:]
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    for entry in filter(None, every):
        entry.annotation = names.annotation(module, entry.annotation)
    returned = names.annotation(module, node.returns)
    return f"({ast.unparse(arguments)})" + (f" -> {ast.unparse(returned)}" if returned is not None else "")


def decorators(node: Definition) -> set[str]:
    """Return the last names of a definition's decorators."""
    called = (entry.func if isinstance(entry, ast.Call) else entry for entry in node.decorator_list)
    return {ast.unparse(entry).rpartition(".")[2] for entry in called}


def public(body: list[ast.stmt]) -> Iterator[Definition]:
    """Yield the documented definitions of a body whose names are public, each name once."""
    seen: set[str] = set()
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_") and node.name not in seen:
            if ast.get_docstring(node):
                seen.add(node.name)
                yield node


def fields(node: ast.ClassDef) -> list[str]:
    """Return the annotated public fields of a class, as 'name: type = default'."""
    found = [entry for entry in node.body if isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name)]
    return [ast.unparse(entry) for entry in found if not ast.unparse(entry.target).startswith("_")]


def described(node: Definition, names: Names, module: str, inside: bool = False) -> list[str]:
    """Return the directive of a definition with its docstring and, of a class, what is in it."""
    marks = decorators(node)
    if isinstance(node, ast.ClassDef):
        init = next((e for e in node.body if isinstance(e, ast.FunctionDef) and e.name == "__init__"), None)
        head = f"py:class:: {node.name}{signature(init, True, names, module).partition(' ->')[0] if init else ''}"
    elif inside and marks & {"property", "cached_property"}:
        head = f"py:property:: {node.name}"
    elif inside:
        head = f"py:method:: {node.name}{signature(node, 'staticmethod' not in marks, names, module)}"
    else:
        head = f"py:function:: {node.name}{signature(node, False, names, module)}"
    body = as_text(ast.get_docstring(node) or "")
    if isinstance(node, ast.ClassDef):
        if own := fields(node):
            body += ["", *(f"* ``{' '.join(entry.split())}``" for entry in own)]
        for entry in public(node.body):
            body += ["", *described(entry, names, module, inside=True)]
    return [
        f".. {head}",
        *(f"   {option}" for option in _options(node, names, module, inside)),
        "",
        *(f"   {line}" for line in body),
    ]


def _options(node: Definition, names: Names, module: str, inside: bool) -> list[str]:
    """Return the options of the directive of a definition."""
    if isinstance(node, ast.ClassDef) or not inside:
        return []
    marks = decorators(node)
    if marks & {"property", "cached_property"}:
        returned = names.annotation(module, node.returns)
        return [f":type: {ast.unparse(returned)}"] if returned is not None else []
    return [f":{mark}:" for mark in ("classmethod", "staticmethod") if mark in marks]


def modules(room: Path, private: bool = False) -> Iterator[tuple[str, Path]]:
    """Yield (dotted name, file) of the public modules of a room or of the package, with `private` of all."""
    top = room if (room.parent / "package.xml").exists() else room.parent
    for path in [room] if room.is_file() else sorted(room.rglob("*.py")):
        parts = path.relative_to(top.parent).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if private or not any(part.startswith("_") for part in parts):
            yield ".".join(parts), path


def page(room: Path, names: Names) -> tuple[str, int]:
    """Return the page of a room, and how many modules stand on it."""
    lines = [room.stem, "=" * len(room.stem), ""]
    count = 0
    for name, path in modules(room):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        entries = list(public(tree.body))
        docstring = ast.get_docstring(tree) or ""
        if name == f"{room.parent.name}.{room.stem}":
            lines += [*as_text(docstring), ""]
        elif docstring:
            lines += [name, "-" * len(name), "", *as_text(docstring), ""]
        if entries:
            lines += [f".. py:currentmodule:: {name}", ""]
        for entry in entries:
            lines += [*described(entry, names, name), ""]
        count += 1
    return "\n".join(lines), count


def write(package: Path, folder: Path) -> int:
    """Write a page for every room of `package` and the list of them to `folder`; return the number of modules."""
    folder.mkdir(parents=True)
    rooms = [path for path in sorted(package.iterdir()) if (path / "__init__.py").exists() or path.suffix == ".py"]
    count, listed, names = 0, [], Names(package)
    for room in rooms:
        if room.name.startswith("_"):
            continue
        text, number = page(room, names)
        (folder / f"{room.stem}.rst").write_text(text + "\n", encoding="utf-8")
        count += number
        listed.append(f"   {room.stem}")
    head = ["The package by rooms", "====================", "", "Public names with their docstrings.", ""]
    contents = [".. toctree::", "   :maxdepth: 1", "", *listed, ""]
    (folder / "index.rst").write_text("\n".join([*head, *contents]), encoding="utf-8")
    return count
