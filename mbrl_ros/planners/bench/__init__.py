"""`mbrl bench planner`: reference problems, peers, timing and report."""
