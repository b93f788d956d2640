"""The models that came out of trainings: found, loaded, measured, exported."""
