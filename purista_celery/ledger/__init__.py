"""What is remembered: the state of every job, in Redis."""
