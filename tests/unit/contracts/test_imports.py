"""Contracts can be imported where Celery is not installed."""

from __future__ import annotations

import grimp
import pytest

FOREIGN = {"celery", "kombu", "redbeat", "redis", "billiard", "vine", "amqp", "flower"}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("purista_celery", include_external_packages=True, cache_dir=None)


@pytest.mark.parametrize("package", ["contracts", "messages", "exports", "errors", "settings"])
def test_no_import_leads_to_celery(graph: grimp.ImportGraph, package: str) -> None:
    """Neither directly nor through another module of ours.

    The import graph is asked, for ``purista_celery/__init__.py`` imports all of the package.
    """
    root = f"purista_celery.{package}"
    ours = {root} | graph.find_descendants(root)
    reached = ours.union(*(graph.find_upstream_modules(module) for module in ours))
    assert not reached & FOREIGN
    assert "purista_celery" not in reached


def test_the_graph_sees_celery_where_it_is(graph: grimp.ImportGraph) -> None:
    """Else the test above would prove nothing."""
    assert "celery" in graph.find_upstream_modules("purista_celery.compiler.app")
