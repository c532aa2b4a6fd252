"""The spine's services and workers, and raw access to the broker queues that they read."""

from __future__ import annotations

from tests.acceptance.spine.conftest import redis_spine, spine

__all__ = ["redis_spine", "spine"]
