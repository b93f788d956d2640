"""The Ray cluster: joining it, what it has, what it may grow to, jobs sent to it."""
