"""Schedules: which occurrences are due, and the beat that publishes each of them as an event."""
