"""The XML of a robot description: from the bytes of a file to text, and from text to its elements, within bounds.

Text in other encodings than UTF-8 is read by the XML declaration or the byte order mark; blank lines before the
declaration, which XML does not allow, are left out; so is a default namespace. Entities, which a URDF never needs and
which can unpack to gigabytes, xacro that was not expanded, and descriptions larger than any robot's are refused.
"""

from __future__ import annotations

import codecs
import hashlib
import re
import xml.etree.ElementTree as ElementTree

import numpy as np

from ..exceptions import RobotDescriptionError
from ..files import MEGABYTE
from ..types import Array

LARGEST_DESCRIPTION = 16 * MEGABYTE
DEEPEST_DESCRIPTION = 64  # elements within each other
LONGEST_NUMBER = 64  # characters of one
_DECLARATION = re.compile(r"\s*<\?xml\b[^>]{0,200}\?>")
_ENCODING = re.compile(rb"\s*<\?xml\b[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_MARKS = (  # the longer ones first: that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What descriptions are written in; Python's other codecs are no encodings of text, or slow on purpose-made input.
_KNOWN = re.compile(
    r"utf[-_]?(8|16|32)([-_]?(le|be))?|(us-)?ascii|iso[-_]?8859[-_]?\d{1,2}|latin[-_]?\d{1,2}|windows[-_]?\d{3,4}|"
    r"cp\d{3,4}|koi8[-_][ru]|shift[-_]?jis|euc[-_](jp|kr)|gb(k|2312|18030)|big5"
)


def text_of(content: bytes) -> str:
    """Return the text of a file's `content`; RobotDescriptionError if its encoding is unknown or another.

    A declaration that names another encoding than UTF-8 is left out: as text it is no longer true.
    """
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "")
    declared = _ENCODING.match(content)
    if not encoding and declared:
        encoding = declared[1].decode("ascii").lower()
    encoding = encoding or "utf-8"
    if not _KNOWN.fullmatch(encoding):
        raise RobotDescriptionError(f"its encoding '{encoding}' is unknown; save it as UTF-8")
    try:
        text = content.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        raise RobotDescriptionError(
            f"it is not {encoding.upper()}; save it as UTF-8, or name its encoding in its first line: "
            '<?xml version="1.0" encoding="ISO-8859-1"?>'
        ) from None
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    declaration = _DECLARATION.match(text)
    if declaration and encoding not in ("utf-8", "utf8"):
        text = text[declaration.end() :]
    return text.lstrip() if _DECLARATION.match(text) else text


def parsed(text: str) -> ElementTree.Element:
    """Return the root of a robot description; RobotDescriptionError, in one line, if it cannot be used."""
    if len(text) > LARGEST_DESCRIPTION:
        raise RobotDescriptionError(
            f"the robot description has {len(text) / MEGABYTE:.3g} million characters, more than any robot's; describe "
            "the robot alone, with its meshes in files"
        )
    if "<!ENTITY" in text:
        raise RobotDescriptionError("the robot description defines entities (<!ENTITY>); write their content out")
    if not text.strip():
        raise RobotDescriptionError("the robot description is empty, and so not valid XML; write the URDF again")
    try:
        root = ElementTree.fromstring(text.lstrip())
    except ElementTree.ParseError as error:
        if "unbound prefix" in str(error) and "xacro:" in text:
            raise RobotDescriptionError(_xacro("uses the prefix xacro:, which is bound to nothing")) from None
        if "unbound prefix" in str(error):
            line = text.lstrip().splitlines()[error.position[0] - 1].strip()[:80]
            raise RobotDescriptionError(
                f"the robot description uses a prefix that is bound to nothing in '{line}'; remove that element, or "
                "bind the prefix in <robot xmlns:PREFIX=...>"
            ) from None
        raise RobotDescriptionError(
            f"the robot description is not valid XML ({error}); check it with check_urdf"
        ) from None
    except ValueError as error:  # characters that no text holds
        raise RobotDescriptionError(f"the robot description is not valid XML ({error})") from None
    _normalize(root)
    return root


def _normalize(root: ElementTree.Element) -> None:
    """Leave out the root's namespace; refuse xacro, and elements deeper within each other than any tool can read."""
    namespace = root.tag[: root.tag.find("}") + 1] if root.tag.startswith("{") else ""
    level, depth = [root], 0
    while level:
        depth += 1
        if depth > DEEPEST_DESCRIPTION:
            raise RobotDescriptionError(
                f"the robot description has elements more than {DEEPEST_DESCRIPTION} deep; check it"
            )
        for element in level:
            if namespace and element.tag.startswith(namespace):
                element.tag = element.tag[len(namespace) :]
            elif element.tag.startswith("{") and "xacro" in element.tag.partition("}")[0]:
                raise RobotDescriptionError(_xacro(f"holds <xacro:{element.tag.partition('}')[2]}>"))
        level = [child for element in level for child in element]


def _xacro(what: str) -> str:
    return f"the robot description {what}: it is a xacro; expand it first: xacro FILE > robot.urdf"


def limit_of(text: str) -> float | None:
    """Return a limit, which may be infinite; None where it is no number."""
    try:
        return float(text) if len(text) < LONGEST_NUMBER else None
    except ValueError:
        return None


def child(element: ElementTree.Element, tag: str, what: str) -> ElementTree.Element:
    """Return the first element `tag` of `element`; RobotDescriptionError, which names `what`, if there is none."""
    found = element.find(tag)
    if found is None:
        raise RobotDescriptionError(f"{what} has no <{tag}>")
    return found


def attribute(element: ElementTree.Element, key: str, what: str) -> str:
    """Return an attribute of `element`; RobotDescriptionError, which names `what`, if it is missing or empty."""
    value = element.get(key)
    if not value:
        raise RobotDescriptionError(f"{what} has no attribute '{key}'")
    return value


def number(text: str, what: str) -> float:
    """Return a finite number; RobotDescriptionError, which names `what`, if `text` is none."""
    return float(numbers(text, 1, what)[0])


def numbers(text: str, count: int, what: str) -> Array:
    """Return `count` finite numbers; RobotDescriptionError, which names `what`, if `text` holds others."""
    try:
        values = np.array([float(word) for word in text.split()] if len(text) < count * LONGEST_NUMBER else [])
    except ValueError:
        values = np.empty(0)
    if values.size != count or not np.isfinite(values).all():
        raise RobotDescriptionError(f"{what} must be {count} finite number(s), got '{text[:80]}'{_remedy(text)}")
    return values


def _remedy(text: str) -> str:
    """Say what was probably meant by a text that is no number."""
    if "${" in text or "$(" in text:
        return "; it is xacro's: expand the file first: xacro FILE > robot.urdf"
    return "; write decimal points, not commas" if "," in text else ""


def digest(text: str) -> str:
    """Return a digest of a description without comments, blanks and how its links look."""
    plain = ElementTree.canonicalize(text, strip_text=True, exclude_tags=("visual", "material"))
    return hashlib.sha256(plain.encode()).hexdigest()
