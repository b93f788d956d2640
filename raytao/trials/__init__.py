"""What happens in the process of one trial, without Ray."""
