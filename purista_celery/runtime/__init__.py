"""What a worker process does besides Celery's part: claim, run, settle, renew, look after."""
