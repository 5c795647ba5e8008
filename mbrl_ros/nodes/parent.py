"""Which process started this one, noted before the imports of a node: they take seconds, in which it may die."""

import os

PARENT = os.getppid()
