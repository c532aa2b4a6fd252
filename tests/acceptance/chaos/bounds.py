"""Messages do not multiply: a queue holds hardly more of them than it has jobs that wait."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.acceptance.chaos.history import History, Sample
from tests.acceptance.chaos.violation import Violation

#: Messages of one queue that workers may hold, and give back all at once.
PREFETCH = 10
#: Copies of messages that may be in flight: of jobs whose worker was lost, or whose message was.
COPIES = 40
#: Seconds for which messages may outlive the jobs that they were for.
DRAIN = 15.0


def floods(history: History) -> Iterator[Violation]:
    """At any time a queue holds at most as many messages as it had open jobs a moment ago."""
    by_queue: dict[str, list[Sample]] = defaultdict(list)
    for sample in history.samples:
        by_queue[sample.queue].append(sample)
    for queue, samples in by_queue.items():
        worst = max(samples, key=lambda sample: sample.messages - _most(samples, sample))
        most = _most(samples, worst)
        if worst.messages > most:
            text = f"{worst.messages} messages at {worst.at:.3f}, of at most {most}"
            yield Violation("flood", queue, text)


def _most(samples: list[Sample], sample: Sample) -> int:
    recent = [each.jobs for each in samples if 0 <= sample.at - each.at <= DRAIN]
    return max(recent) + PREFETCH + COPIES


def left_at_rest(history: History) -> Iterator[Violation]:
    """When all jobs have ended and nothing goes wrong any more, no message is left."""
    for queue, messages in history.left.items():
        yield Violation("left", queue, f"{messages} messages wait, and nobody takes them")
