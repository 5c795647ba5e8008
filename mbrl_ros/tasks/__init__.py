"""What is learned: a system with its state, its limits, its reward and the cost that a planner minimises for it.

One task a file, with `build() -> Task`; base.py says what a task is and catalog.py finds them by name.
"""
