"""What a command-line tool shows and how it ends: progress, verdicts, signals."""
