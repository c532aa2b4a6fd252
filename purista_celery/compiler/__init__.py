"""Contracts in, a plain Celery app out."""
