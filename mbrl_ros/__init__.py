"""Model-based reinforcement learning for robot arms: dynamics learned in motion, iLQR, a supervisor."""
