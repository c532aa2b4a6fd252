"""Commands plugged into ``celery``: ``celery -A workers purista …``."""
