"""From a run file to everything a run needs; user mistakes end here, before a GPU is used."""
