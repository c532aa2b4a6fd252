"""The suites, and which case proves which capability that is reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from purista_celery.testing import delivery, events, queue, scheduler
from purista_celery.testing.bench import Bench
from purista_celery.testing.case import Case, Suite


def queue_cases() -> list[Case]:
    """Return the cases of queues, leases, retries and dead letters."""
    return _cases(
        "queue",
        queue.a_job_runs_once_and_leaves_nothing,
        queue.a_delayed_job_is_not_early,
        queue.a_delayed_job_survives_a_restart,
        queue.a_failed_attempt_is_tried_again_until_they_are_spent,
        queue.a_handler_can_bury_its_job,
        queue.dead_letters_are_shown,
        queue.a_dead_letter_is_redriven,
        queue.a_dead_letter_is_purged,
        queue.a_vanished_workers_job_is_recovered,
        queue.leases_are_shown,
        queue.one_holder_at_a_time,
        queue.a_stale_holder_settles_nothing,
        queue.a_redelivery_does_not_take_a_living_workers_job,
        queue.a_late_holder_renews_nothing,
        queue.a_removed_record_is_made_again,
        queue.a_running_job_outlives_its_record,
        queue.messages_of_an_unserved_queue_do_not_multiply,
        queue.an_idempotency_key_is_one_job,
        queue.a_waiting_job_is_cancelled,
        queue.a_running_job_is_cancelled,
        queue.jobs_of_one_queue_are_in_order,
        queue.priorities_are_kept_or_reported_as_missing,
        queue.a_paused_queue_stays_paused,
        queue.an_unreadable_message_is_kept,
        queue.a_strict_start_is_refused_over_what_forgets,
    )


def event_cases() -> list[Case]:
    """Return the cases of events, patterns and durable subscriptions."""
    return _cases(
        "event",
        events.every_matching_subscription_hears_it_once,
        events.a_subscription_outlives_its_worker,
        events.an_event_before_the_first_worker_waits,
        events.an_event_is_acknowledged_after_its_job_is_stored,
        events.two_bindings_of_one_event_each_have_their_jobs,
        events.garbage_in_an_inbox_is_kept,
        events.the_trace_travels,
    )


def scheduler_cases() -> list[Case]:
    """Return PURISTA's six steps of a scheduler provider, and one of two beats together."""
    return _cases(
        "scheduler",
        scheduler.a_first_claim_succeeds,
        scheduler.a_second_claim_is_refused_meanwhile,
        scheduler.a_stale_claim_completes_nothing,
        scheduler.a_released_occurrence_is_claimed_again,
        scheduler.a_completed_occurrence_is_not_due_again,
        scheduler.a_replica_finds_the_same,
        scheduler.two_beats_fire_each_occurrence_once,
    )


def delivery_cases() -> list[Case]:
    """Return the cases of result events."""
    return _cases(
        "delivery",
        delivery.a_required_event_outlives_its_worker,
        delivery.a_result_has_the_same_id_each_time,
        delivery.a_repeated_event_is_handled_once,
        delivery.a_best_effort_event_is_published_once,
    )


def all_cases() -> list[Case]:
    """Return every case, suite by suite."""
    return [*queue_cases(), *event_cases(), *scheduler_cases(), *delivery_cases()]


#: PURISTA's capability flags of a queue bridge, an event bridge and a scheduler provider, with the
#: names of the cases that prove them.
CAPABILITY_CASES: Mapping[str, tuple[str, ...]] = {
    "delayedDelivery": ("queue-a_delayed_job_is_not_early",),
    "providerManagedDelayedDelivery": ("queue-a_delayed_job_survives_a_restart",),
    "fifoOrdering": ("queue-jobs_of_one_queue_are_in_order",),
    "priorities": ("queue-priorities_are_kept_or_reported_as_missing",),
    "deadLetterInspectSupported": ("queue-dead_letters_are_shown",),
    "deadLetterReplaySupported": ("queue-a_dead_letter_is_redriven",),
    "deadLetterPurgeSupported": ("queue-a_dead_letter_is_purged",),
    "leaseInspectionSupported": ("queue-leases_are_shown",),
    "idempotencyEnforcement": ("queue-an_idempotency_key_is_one_job",),
    "strictStartupValidation": ("queue-a_strict_start_is_refused_over_what_forgets",),
    "durableSubscriptions": (
        "event-a_subscription_outlives_its_worker",
        "event-an_event_before_the_first_worker_waits",
    ),
    "manualAckSupported": ("event-an_event_is_acknowledged_after_its_job_is_stored",),
    "durableOccurrenceState": (
        "scheduler-a_completed_occurrence_is_not_due_again",
        "scheduler-a_replica_finds_the_same",
    ),
    "distributedOccurrenceClaims": (
        "scheduler-a_second_claim_is_refused_meanwhile",
        "scheduler-a_replica_finds_the_same",
    ),
}


def _cases(suite: Suite, *functions: Callable[[Bench], None]) -> list[Case]:
    return [Case(suite, function) for function in functions]
