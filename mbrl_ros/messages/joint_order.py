"""The order of joints in messages; the only place where it is resolved: by name, once per layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..exceptions import nearest
from .input_gate import Rejection

Problem = tuple[Rejection, str]  # why a message cannot be used, and the details
Index = NDArray[np.intp]  # (n,), of the robot's joints in a message
NAMES_SHOWN = 12  # names of a message that a problem quotes
HINTS = 10  # problems that also say which name is nearest: it takes milliseconds to find


class JointOrder:
    """The index of every one of `joints` in a message's names, remembered for the last layout seen."""

    def __init__(self, joints: Sequence[str]):
        self.joints = tuple(joints)
        self._names: list[str] | None = None
        self._resolved: Index | Problem = np.zeros(0, dtype=np.intp)
        self._some_of: list[str] | None = None
        self._some: tuple[Index, Index] = np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
        self._hints = HINTS

    def resolve(self, names: Sequence[str]) -> Index | Problem:
        """Return the index (n,) of the joints, or the problem if the names do not hold every joint exactly once."""
        if self._names is None or names != self._names:
            self._names = list(names)
            self._resolved = self._resolve(self._names)
        return self._resolved

    def some(self, names: Sequence[str]) -> tuple[Index, Index]:
        """Return which joints the names hold, and their indices in the names, both (k,)."""
        if self._some_of is None or names != self._some_of:
            self._some_of = list(names)
            places = {name: at for at, name in enumerate(names)}
            joints = [k for k, joint in enumerate(self.joints) if joint in places]
            found = [places[self.joints[k]] for k in joints]
            self._some = np.array(joints, dtype=np.intp), np.array(found, dtype=np.intp)
        return self._some

    def _resolve(self, names: list[str]) -> Index | Problem:
        there = set(names)
        missing = [joint for joint in self.joints if joint not in there]
        if missing:
            shown, hint = names[:NAMES_SHOWN], ""
            if self._hints and shown:
                self._hints -= 1
                hint = f"; '{missing[0]}': did you mean '{nearest(missing[0], shown)}'?"
            quoted = ", ".join(map(repr, shown)) + (", ..." if len(names) > NAMES_SHOWN else "")
            return Rejection.MISSING_JOINTS, (f"missing {missing}; the message has {len(names)} joints: {quoted}{hint}")
        twice = [name for name, count in Counter(names).items() if count > 1 and name in self.joints]
        if twice:
            return Rejection.DUPLICATE_JOINTS, f"joints named twice: {twice}"
        return np.array([names.index(joint) for joint in self.joints], dtype=np.intp)
