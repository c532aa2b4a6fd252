"""A process that uses the embedded Redis as it is told, a word a line; it answers a line each.

``use`` starts or joins the server, ``count`` increments a counter in it, ``fork`` makes a child
that obeys the file descriptor given as the second argument, ``exit`` and ``_exit`` end the process
with and without Python's exit handlers.
"""

import os
import sys
from pathlib import Path

import redis

from purista_celery.embedded import embedded_redis


def obey(commands: int, directory: Path, children: int, url: str = "") -> None:
    """Carry out the lines of ``commands`` until they end; a child knows its parent's ``url``."""
    with os.fdopen(commands) as lines:
        for line in lines:
            match line.strip():
                case "use":
                    url = embedded_redis(directory)
                    with redis.from_url(url) as client:
                        answer(client.info("server")["process_id"])
                case "count":
                    with redis.from_url(url) as client:
                        answer(client.incr("count"))
                case "fork":
                    if os.fork() == 0:
                        obey(children, directory, -1, url)
                        return
                case "exit":
                    sys.exit()
                case "_exit":
                    os._exit(0)


def answer(value: int) -> None:
    """Write a line that says who answers what."""
    os.write(1, f"{os.getpid()} {value}\n".encode())


if __name__ == "__main__":
    obey(os.dup(0), Path(sys.argv[1]), int(sys.argv[2]))
