"""How a Redis is brought to refuse, and to take everything again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.acceptance.chaos.kinds import Kind
from tests.support.servers import RedisServer, free_port
from tests.support.waiting import until

#: A name that no snapshot can be saved under: there is a directory of that name.
NO_FILE = "no-file"


@dataclass
class Redis:
    """A server, and a kept connection to it that none of its refusals can hit."""

    server: RedisServer
    admin: redis.Redis = field(init=False)
    #: At work on a script that never ends.
    _busy: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.admin = self._client(single_connection_client=True)

    def close(self) -> None:
        self.admin.close()

    def fill_memory(self) -> None:
        self.admin.config_set("maxmemory", 1)

    def free_memory(self) -> None:
        self.admin.config_set("maxmemory", 0)

    def ask_for_replicas(self) -> None:
        self.admin.config_set("min-replicas-to-write", 1)

    def need_no_replicas(self) -> None:
        self.admin.config_set("min-replicas-to-write", 0)

    def follow_nobody(self) -> None:
        self.admin.replicaof("127.0.0.1", free_port())

    def lead(self) -> None:
        self.admin.replicaof("NO", "ONE")

    def fail_to_save(self) -> None:
        (self.server.directory / NO_FILE).mkdir(exist_ok=True)
        self.admin.config_set("dbfilename", NO_FILE)
        # Only a server that is to save by itself minds.
        self.admin.config_set("save", "86400 1000000")
        self._save()

    def save_again(self) -> None:
        self.admin.config_set("dbfilename", "dump.rdb")
        self._save()
        self.admin.config_set("save", "")

    def fill_disk(self) -> None:
        self.server.fill_disk()

    def free_disk(self) -> None:
        self.server.free_disk()
        # What it has taken meanwhile is in its memory alone until then.
        self._until("aof_last_write_status", "ok")

    def be_busy(self) -> None:
        self.admin.config_set("lua-time-limit", 50)
        self._busy = threading.Thread(target=self._never_end, daemon=True)
        self._busy.start()

    def be_idle(self) -> None:
        assert self._busy is not None
        while self._busy.is_alive():
            with suppress(redis.ResponseError):  # it has not begun yet
                self.admin.script_kill()
            self._busy.join(0.1)
        self.admin.ping()

    def refuse_clients(self) -> None:
        self.admin.config_set("maxclients", 1)
        self.admin.client_kill_filter(_type="normal", skipme=True)
        self.admin.client_kill_filter(_type="pubsub")

    def take_clients(self) -> None:
        self.admin.config_set("maxclients", 10_000)

    def _never_end(self) -> None:
        with self._client() as client, suppress(redis.RedisError):
            client.eval("while true do end", 0)

    def _client(self, **options: Any) -> redis.Redis:
        # Patient, and told once: what is asked twice would be done twice.
        return redis.Redis(
            port=self.server.port,
            socket_timeout=None,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
            **options,
        )

    def _save(self) -> None:
        with suppress(redis.ResponseError):  # one is under way
            self.admin.bgsave()
        self._until("rdb_bgsave_in_progress", 0)

    def _until(self, name: str, value: object) -> None:
        until(
            lambda: self.admin.info("persistence")[name] == value,
            f"{name} is {value}; {self.server.directory}",
        )


REFUSE: Mapping[Kind, Callable[[Redis], None]] = {
    Kind.OUT_OF_MEMORY: Redis.fill_memory,
    Kind.NO_REPLICAS: Redis.ask_for_replicas,
    Kind.READ_ONLY: Redis.follow_nobody,
    Kind.NO_SAVE: Redis.fail_to_save,
    Kind.DISK_FULL: Redis.fill_disk,
    Kind.BUSY: Redis.be_busy,
    Kind.MAX_CLIENTS: Redis.refuse_clients,
}
TAKE: Mapping[Kind, Callable[[Redis], None]] = {
    Kind.OUT_OF_MEMORY: Redis.free_memory,
    Kind.NO_REPLICAS: Redis.need_no_replicas,
    Kind.READ_ONLY: Redis.lead,
    Kind.NO_SAVE: Redis.save_again,
    Kind.DISK_FULL: Redis.free_disk,
    Kind.BUSY: Redis.be_idle,
    Kind.MAX_CLIENTS: Redis.take_clients,
}
