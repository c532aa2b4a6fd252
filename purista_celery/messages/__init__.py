"""What travels: the event envelope, the job message and the result payload."""
