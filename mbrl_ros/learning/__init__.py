"""Learning in episodes: how a task is learned, one method a file, and the experiment that compares them.

base.py says what a method is, catalog.py finds them by name, experiment.py runs one on a task for several seeds.
"""
