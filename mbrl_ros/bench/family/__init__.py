"""Every planner on one problem and in one scenario: what a decision costs, and whether the arm reaches its targets."""
