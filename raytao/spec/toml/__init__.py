"""TOML: read by the standard library, edited where it stands."""
