"""A brain and a network of another package; see docs/plugins.md."""
