"""What the planners that sample commands share: settings, noise, rollouts, and the search of a tick."""
