"""What changed, as text, as JSON and as annotations of GitHub's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from purista_celery.exports.diff.messages import Change
from purista_celery.exports.diff.verdict import Verdict

#: GitHub's workflow command for each verdict.
_COMMANDS = {Verdict.BREAKING: "error", Verdict.RISKY: "warning", Verdict.COMPATIBLE: "notice"}


def worst(changes: Sequence[Change]) -> Verdict:
    """Return the verdict over all changes; no change is compatible."""
    return max((each.verdict for each in changes), default=Verdict.COMPATIBLE)


def as_text(changes: Sequence[Change]) -> str:
    """Return a line for each change, worst first, and a line that counts them."""
    lines = [
        f"{each.verdict.word:<10} {_where(each)}: {_what(each)}\n"
        f"{'':<10} producers {each.rule.producers.word}, consumers {each.rule.consumers.word} "
        f"[{each.rule.id}]"
        for each in changes
    ]
    counted = ", ".join(
        f"{sum(each.verdict is verdict for each in changes)} {verdict.word}"
        for verdict in sorted(Verdict, reverse=True)
    )
    return "\n".join([*lines, counted if changes else "No changes."]) + "\n"


def as_json(changes: Sequence[Change]) -> dict[str, Any]:
    """Return all changes, and the worst verdict for each side, as JSON-able data."""
    return {
        "verdict": worst(changes).word,
        "producers": max((each.rule.producers for each in changes), default=Verdict(0)).word,
        "consumers": max((each.rule.consumers for each in changes), default=Verdict(0)).word,
        "changes": [
            {
                "rule": each.rule.id,
                "contract": each.contract,
                "place": each.place,
                "verdict": each.verdict.word,
                "producers": each.rule.producers.word,
                "consumers": each.rule.consumers.word,
                "what": each.rule.what,
                "detail": each.detail,
            }
            for each in changes
        ],
    }


def as_json_text(changes: Sequence[Change]) -> str:
    """Return :func:`as_json` as the text of a file."""
    return json.dumps(as_json(changes), indent=2, ensure_ascii=False) + "\n"


def as_annotations(changes: Sequence[Change]) -> str:
    """Return a workflow command for each change, which GitHub shows beside a pull request."""
    return "".join(
        f"::{_COMMANDS[each.verdict]} title={_property(f'{each.verdict.word}: {each.rule.id}')}"
        f"::{_data(f'{_where(each)}: {_what(each)}')}\n"
        for each in changes
    )


def _where(change: Change) -> str:
    return f"{change.contract} {change.place}".rstrip()


def _what(change: Change) -> str:
    return f"{change.rule.what} ({change.detail})" if change.detail else change.rule.what


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
