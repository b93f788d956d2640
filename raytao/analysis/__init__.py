"""What a run tells about its parameters: pure functions of its trials."""
