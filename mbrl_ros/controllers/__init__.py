"""Controllers: from an observation to a decision, once per control period."""
