"""ready | leased past its lease -> leased."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from purista_celery.ledger.records import Limits, Verdict
from tests.integration.ledger.book import HOUR, NOW, Book

ONE = Limits(parallel=1)


def test_a_ready_job_is_granted_and_its_attempt_counts(book: Book) -> None:
    """Before the handler runs: a job that kills its worker runs out of attempts."""
    job_id = book.ready()
    created = int(book.record(job_id)["windowStart"])

    claim = book.claim(job_id, "w1/7")

    assert (claim.verdict, claim.attempt, claim.max_attempts) == (Verdict.GRANTED, 1, 3)
    assert (claim.fence, claim.window_start, claim.last_checkpoint) == ("w1/7", created, None)
    assert book.where(job_id) == ("leased", {"leased"})
    status = book.status(job_id)
    assert (status.status, status.worker, status.attempt) == ("inFlight", "w1", 1)
    assert status.lease_expires_at is not None
    assert status.leased_at is not None
    assert status.lease_expires_at - status.leased_at == HOUR
    expires = book.client.zscore(book.keys.leased, job_id)
    assert expires == status.lease_expires_at.timestamp() * 1000


def test_the_same_claim_again_is_granted_again(book: Book) -> None:
    """Its first answer got lost on the way; the attempt counts once."""
    job_id = book.ready()
    first = book.claim(job_id)
    before = book.record(job_id)
    assert book.claim(job_id) == first
    assert book.record(job_id) == before


@pytest.mark.parametrize(
    ("state", "verdict", "attempt"),
    [
        ("unknown", Verdict.UNKNOWN, 0),
        ("scheduled", Verdict.NOT_DUE, 0),
        ("leased", Verdict.HELD, 1),
        ("completed", Verdict.SETTLED, 1),
        ("cancelled", Verdict.SETTLED, 0),
        ("dead", Verdict.SETTLED, 1),
    ],
)
def test_another_claim_is_refused_with_the_reason(
    book: Book, state: str, verdict: Verdict, attempt: int
) -> None:
    """Nothing changes, however often it is asked."""
    job_id = book.in_state(state)
    before = book.record(job_id), book.where(job_id)
    for _ in range(2):
        claim = book.claim(job_id, "w2/1")
        assert (claim.verdict, claim.attempt) == (verdict, attempt)
    assert (book.record(job_id), book.where(job_id)) == before


def test_a_refused_claim_names_the_holder(book: Book) -> None:
    """So that people can find out where the job is."""
    assert book.claim(book.held("w1/9"), "w2/1").fence == "w1/9"


def test_a_job_past_its_lease_is_its_holders_until_the_rescuer_ends_the_attempt(book: Book) -> None:
    """Who asks for one job can not tell a dead holder from one that could not renew its lease."""
    job_id = book.held("w1/1")
    book.age(job_id, 2 * HOUR)
    assert book.claim(job_id, "w2/1").verdict is Verdict.HELD
    assert book.extend(job_id, "w1/1") == ("held", False)
    book.age(job_id, 2 * HOUR)
    assert book.retry(job_id, "w1/1", abandoned=book.abandoned(), delay=NOW)
    claim = book.claim(job_id, "w2/1")
    assert (claim.verdict, claim.attempt, claim.fence) == (Verdict.GRANTED, 2, "w2/1")
    assert book.where(job_id) == ("leased", {"leased"})
    assert book.expired() == []


def test_what_was_seen_too_long_ago_takes_nobodys_job(book: Book) -> None:
    """A rescuer that was frozen between its look and its deed sees nothing any more."""
    job_id = book.held("w1/1")
    stale = book.abandoned("w1", seen=timedelta(minutes=2))
    assert book.retry(job_id, "w1/1", abandoned=stale) is False
    assert book.bury(job_id, "w1/1", abandoned=stale) is False
    book.age(job_id, 2 * HOUR)
    assert book.bury(job_id, "w1/1", abandoned=stale) is False
    assert book.bury(job_id, "w1/1", abandoned=book.abandoned("w1")) is True


def test_a_paused_queues_job_is_refused_until_it_resumes(book: Book) -> None:
    """Its attempt does not count; a holder's repeat is granted all the same."""
    ready, held = book.ready(), book.held("w1/2")
    book.ledger.pause("orders", "tea")

    assert book.claim(ready, "w2/1").verdict is Verdict.PAUSED
    assert book.claim(held, "w1/2").verdict is Verdict.GRANTED
    assert book.status(ready).attempt == 0

    book.ledger.resume("orders")
    assert book.claim(ready, "w2/1").attempt == 1


def test_as_many_jobs_run_as_may(book: Book) -> None:
    """The next is refused, without an attempt, until one of them has ended."""
    jobs = [book.ready() for _ in range(3)]
    for number, job_id in enumerate(jobs[:2]):
        assert book.claim(job_id, f"w1/{number}", limit=2).verdict is Verdict.GRANTED

    claim = book.claim(jobs[2], "w1/2", limit=2)
    assert (claim.verdict, claim.attempt) == (Verdict.LIMITED, 0)
    assert book.where(jobs[2]) == ("ready", {"ready"})

    book.complete(jobs[0], "w1/0")
    assert book.claim(jobs[2], "w1/2", limit=2).verdict is Verdict.GRANTED


def test_a_job_that_waits_for_others_is_offered_when_one_of_them_has_ended(book: Book) -> None:
    """Its message is gone; until then it is not offered in vain."""
    running = book.held("w1/1")
    waiting = book.ready()
    book.claim(waiting, "w1/2", limit=1)
    assert book.ledger.take_urgent("orders", 10, ONE) == []
    book.complete(running)
    [offer] = book.ledger.take_urgent("orders", 10, ONE)
    assert offer.job_id == waiting
    assert book.ledger.take_urgent("orders", 10, ONE) == []


def test_no_more_jobs_start_within_an_interval_than_may(book: Book) -> None:
    """Ended or not; the next are offered when the interval is over, and no more than may start."""
    jobs = [book.ready() for _ in range(5)]
    two_an_hour = Limits(parallel=2, interval=HOUR)
    for number, job_id in enumerate(jobs[:2]):
        assert book.claim(job_id, f"w1/{number}", limit=2, interval=HOUR).verdict is Verdict.GRANTED
        book.complete(job_id, f"w1/{number}")
    for job_id in jobs[2:]:
        assert book.claim(job_id, limit=2, interval=HOUR).verdict is Verdict.LIMITED
    assert book.ledger.take_urgent("orders", 10, two_an_hour) == []

    assert timedelta(0) < timedelta(milliseconds=book.client.pttl(book.keys.pace)) <= HOUR
    book.client.delete(book.keys.pace)  # as time does
    offers = book.ledger.take_urgent("orders", 10, two_an_hour)
    assert [offer.job_id for offer in offers] == jobs[2:4]
    assert book.claim(jobs[2], limit=2, interval=HOUR).verdict is Verdict.GRANTED


def test_a_rescued_job_does_not_count_against_its_own_limit(book: Book) -> None:
    """It is one of those that may run."""
    job_id = book.held("w1/1")
    book.age(job_id, 2 * HOUR)
    assert book.retry(job_id, "w1/1", abandoned=book.abandoned(), delay=NOW)
    assert book.claim(job_id, "w2/1", limit=1).verdict is Verdict.GRANTED


def test_a_job_without_attempts_left_is_exhausted(book: Book) -> None:
    """Nobody holds it, and whoever is told so buries it."""
    job_id = book.held("w1/1", max_attempts=1)
    book.retry(job_id, "w1/1", delay=NOW)
    for _ in range(2):
        claim = book.claim(job_id, "w2/1")
        assert (claim.verdict, claim.attempt, claim.fence) == (Verdict.EXHAUSTED, 1, "")
    assert book.bury(job_id, "")
    assert book.where(job_id) == ("dead", {"dead"})


def test_a_delivery_that_another_process_gets_as_well_is_not_granted_twice(book: Book) -> None:
    """Celery sends it again where the first process died; that attempt is spent."""
    job_id = book.ready()
    assert book.claim(job_id, "w1/1", process="10").verdict is Verdict.GRANTED
    assert book.claim(job_id, "w1/1", process="10").verdict is Verdict.GRANTED
    assert book.claim(job_id, "w1/1", process="11").verdict is Verdict.HELD
    assert book.status(job_id).attempt == 1


def test_the_last_checkpoint_is_handed_to_the_next_attempt(book: Book) -> None:
    """As it was written down."""
    job_id = book.held("w1/1")
    book.ledger.report("orders", job_id, "w1/1", "checkpoint", {"row": 7, "seen": None})
    book.retry(job_id, delay=NOW)
    assert book.claim(job_id, "w2/1").last_checkpoint == {"row": 7, "seen": None}


def test_one_of_many_threads_is_granted(book: Book) -> None:
    """The others are told that it is held."""
    job_id = book.ready()
    with ThreadPoolExecutor(16) as pool:
        claims = list(pool.map(lambda n: book.claim(job_id, f"w{n}/1"), range(16)))
    verdicts = [claim.verdict for claim in claims]
    assert verdicts.count(Verdict.GRANTED) == 1
    assert verdicts.count(Verdict.HELD) == 15
    holder = next(claim.fence for claim in claims if claim.verdict is Verdict.GRANTED)
    assert {claim.fence for claim in claims} == {holder}
    assert book.status(job_id).attempt == 1


def test_of_many_rescuers_one_takes_a_job_past_its_lease(book: Book) -> None:
    """The attempt fails once."""
    job_id = book.held("w1/1")
    book.age(job_id, 2 * HOUR)
    seen = book.abandoned()
    with ThreadPoolExecutor(16) as pool:
        taken = list(pool.map(lambda _: book.retry(job_id, abandoned=seen, delay=NOW), range(16)))
    assert taken.count(True) == 1
    assert book.status(job_id).attempt == 1


def test_who_holds_a_job_can_be_asked(book: Book) -> None:
    """``held`` and ``leases`` tell; neither knows of a job that nobody holds."""
    job_id = book.held("w1/5")
    held = book.ledger.held("orders", job_id)
    assert held is not None
    assert (held.verdict, held.fence, held.attempt, held.max_attempts) == (
        Verdict.HELD,
        "w1/5",
        1,
        3,
    )
    assert book.ledger.held("orders", book.ready()) is None
    assert book.ledger.held("orders", "nobody") is None


def test_a_claim_keeps_no_expiry_on_the_record(book: Book) -> None:
    """The record of an unfinished job has no end."""
    job_id = book.held()
    assert book.ttl(book.keys.job(job_id)) is None
