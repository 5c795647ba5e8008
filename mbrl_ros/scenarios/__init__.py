"""Where an arm is asked to go over time, with which load: targets that are drawn from what it can reach and hold."""
