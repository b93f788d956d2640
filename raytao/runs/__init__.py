"""A run: its files, its event log, the state folded from it, and the controller."""
