"""TAO's names for the settings of a search, and what they mean here."""
