"""One policy from thousands of plans: samples, student, fit, imitation methods, files and export. Knows no ROS."""
