"""The package's main job as a scenario: a torque-controlled arm that knows nothing learns to move while you watch."""
