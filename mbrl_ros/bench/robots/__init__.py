"""The bench of robots: arms that nobody tuned for, under conditions that a start from nothing may meet."""
