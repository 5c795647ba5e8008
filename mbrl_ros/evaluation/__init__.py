"""How well models predict, on recordings."""
