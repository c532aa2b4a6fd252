"""A service whose result event no service of ours hears."""

from purista_celery import Job, ResultEvents, Service

service = Service("lonely")
work = service.queue(
    "lonely.work",
    payload=int,
    output=int,
    results=ResultEvents(success="lonely.done", delivery="required"),
)


@work.worker()
def run(job: Job[int, None]) -> int:
    return job.payload * 2
