"""What a namespace calls its exchange and its queues on the broker."""

from __future__ import annotations


def events_exchange_name(namespace: str) -> str:
    """Return the name of the topic exchange that all events of ``namespace`` travel through."""
    return f"{namespace}.events"


def job_queue_name(namespace: str, queue: str) -> str:
    """Return the name of the broker queue that a queue's jobs travel through."""
    return f"{namespace}.job.{queue}"


def inbox_name(namespace: str, key: str) -> str:
    """Return the name of the broker queue in which a subscription's events wait.

    Args:
        key: ``sub.<service>.<version>.<name>``.
    """
    return f"{namespace}.{key}"


def default_queue_name(namespace: str) -> str:
    """Return the name of the broker queue for tasks that are none of ours."""
    return f"{namespace}.default"


def control_name(namespace: str) -> str:
    """Return what Celery's remote control is called: its exchanges and queues end with it.

    Never ``celery``, which is what applications that are not ours use.
    """
    return f"{namespace}.control"


def monitoring_name(namespace: str) -> str:
    """Return the exchange of Celery's monitoring events, and the prefix of their queues."""
    return f"{namespace}.celeryev"
