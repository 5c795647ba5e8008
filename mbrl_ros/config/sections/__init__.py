"""The settings of every part of the package, each with one default, its unit, bounds and description."""
