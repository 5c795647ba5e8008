"""The colors of every figure and page: text, the main curve, curves in the background, what needs attention."""

INK, ACCENT, PALE, WARN = "#1f2933", "#1565c0", "#b0bec5", "#c62828"
