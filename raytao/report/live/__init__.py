"""A run as it goes: in a terminal, in a log, in a notebook."""
