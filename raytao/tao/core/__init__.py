"""Networks as an installed nvidia-tao-core describes them; nothing of it is imported unasked."""
