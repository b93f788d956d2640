"""Built-in trainers in plain torch; they speak only through their context."""
