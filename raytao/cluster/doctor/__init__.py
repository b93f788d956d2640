"""What may be wrong with a cluster before a run finds it out: one subject a file."""
