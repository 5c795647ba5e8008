"""What stands between a decision and the robot: limits, states, safe commands."""
