"""One policy from thousands of plans: dataset, student, fit, teachers, promotion, persistence and export. Knows no ROS."""
