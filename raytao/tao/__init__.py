"""TAO's outside: names, files and words, and nowhere else."""
