"""Pictures of a run: what each shows, and the same in words."""
