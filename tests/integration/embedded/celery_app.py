"""A bare Celery app whose broker is the embedded Redis."""

import os
from pathlib import Path

from celery import Celery

from purista_celery.embedded import embedded_redis

url = embedded_redis(Path(os.environ["EMBEDDED_DIRECTORY"]))
app = Celery("embedded", broker=url.replace("unix://", "redis+socket://"))
