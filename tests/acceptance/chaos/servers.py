"""Posts of servers: how each fault is done to a Redis or a RabbitMQ, and undone."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from subprocess import CalledProcessError, TimeoutExpired
from typing import Protocol

import redis
from amqp import Connection

from tests.acceptance.chaos.faults import Fault
from tests.acceptance.chaos.kinds import OF_A_RABBITMQ, OF_A_SERVER, Kind
from tests.acceptance.chaos.refusals import REFUSE, TAKE, Redis
from tests.support.line import Line
from tests.support.rabbitmq import RabbitServer, SharedRabbit
from tests.support.servers import RedisServer
from tests.support.waiting import until

#: Bytes that RabbitMQ wants free: more than any disk has, and its default.
NO_DISK, ENOUGH_DISK = "1000000000000000", "50000000"


class Messages(Protocol):
    """The broker queues of a namespace, as its neighbours reach them."""

    @property
    def job_queues(self) -> Sequence[str]: ...

    def spoil(self, fault: Fault) -> None:
        """Write what is no message of ours to where ours come from."""
        ...


@dataclass
class RedisPost:
    """A Redis: the ledger, the broker, or both."""

    server: RedisServer
    #: All lines to it, made or yet to be made.
    lines: list[Line]
    kinds: tuple[Kind, ...]
    messages: Messages | None = None
    #: For as long as a fault lasts.
    _redis: Redis | None = None
    _replica: RedisServer | None = None

    def begin(self, fault: Fault) -> bool:
        kind = fault.kind
        if kind is Kind.KILL_SERVER:
            self.server.kill()
        elif kind is Kind.STOP_SERVER:
            self.server.stop()
        elif kind is Kind.FREEZE_SERVER:
            self.server.freeze()
        elif kind is Kind.GARBAGE:
            assert self.messages is not None
            self.messages.spoil(fault)
        elif kind is Kind.STALE_REPLICA:
            self._replica = self._fork()
        else:
            self._redis = Redis(self.server)
            self._ask(self._redis, fault)
        return True

    def mend(self, fault: Fault) -> bool:
        if fault.kind in (Kind.KILL_SERVER, Kind.STOP_SERVER):
            self.server.start()
        elif fault.kind is Kind.FREEZE_SERVER:
            self.server.thaw()
        elif fault.kind is Kind.STALE_REPLICA:
            self._promote()
        elif self._redis is not None:
            if fault.kind is Kind.PAUSE_CLIENTS:
                self._redis.admin.ping()
            TAKE.get(fault.kind, lambda _: None)(self._redis)
            self._redis.close()
            self._redis = None
        return True

    def close_connections(self, addresses: list[str]) -> bool:
        """Close the connections that come from ``addresses``."""
        try:
            with self.server.client() as client:
                closed = [client.client_kill_filter(addr=each) for each in addresses]
        except redis.RedisError:  # it is away, or refuses
            return False
        return any(closed)

    def client(self) -> redis.Redis:
        """Return a client of the server as it is now, over no line."""
        return self.server.client()

    def close(self) -> None:
        # It may refuse to end, or stand still.
        for server in filter(None, (self.server, self._replica)):
            server.kill()
            server.close()

    def _ask(self, server: Redis, fault: Fault) -> None:
        admin = server.admin
        if fault.kind is Kind.PAUSE_CLIENTS:
            admin.client_pause(round(fault.lasting * 1000), all=fault.luck < 0.5)
        elif fault.kind is Kind.KILL_NORMAL:
            admin.client_kill_filter(_type="normal", skipme=True)
        elif fault.kind is Kind.KILL_PUBSUB:
            admin.client_kill_filter(_type="pubsub")
        elif fault.kind is Kind.REMOVE_QUEUE:
            assert self.messages is not None
            admin.delete(fault.of(self.messages.job_queues))
        else:
            REFUSE[fault.kind](server)

    def _fork(self) -> RedisServer:
        """Return a copy of the server that will not hear of what happens from now on."""
        replica = RedisServer(options=self.server.options).start()
        with replica.client() as client:
            client.replicaof("127.0.0.1", self.server.port)
            until(lambda: client.info("replication")["master_link_status"] == "up", "it follows")
            client.replicaof("NO", "ONE")
            # Its file is written anew; it may be killed later.
            until(lambda: _is_written(client.info("persistence")), "its file is written")
        return replica

    def _promote(self) -> None:
        assert self._replica is not None
        self.server.kill()
        shutil.rmtree(self.server.directory, ignore_errors=True)
        self.server, self._replica = self._replica, None
        for line in self.lines:
            line.retarget(self.server.port)


def _is_written(persistence: Mapping[str, object]) -> bool:
    under_way = ("aof_rewrite_in_progress", "aof_rewrite_scheduled")
    return persistence["aof_enabled"] == 1 and not any(persistence[each] for each in under_way)


@dataclass
class RabbitPost:
    """A RabbitMQ of the test's own."""

    server: RabbitServer
    messages: Messages
    kinds: tuple[Kind, ...] = (*OF_A_RABBITMQ, *(Kind.GARBAGE, Kind.GARBAGE, Kind.REMOVE_QUEUE))
    #: Whether a queue was declared since it last stopped in good order.
    _fresh: bool = True

    def begin(self, fault: Fault) -> bool:
        kind = fault.kind
        # RabbitMQ 3.10 may leave a quorum queue without a leader for good if it is killed within
        # seconds of the queue's declaration, before it has stopped in good order once.
        if kind is Kind.STOP_SERVER or (kind is Kind.KILL_SERVER and self._fresh):
            self._fresh = False
            self.server.stop()
        elif kind is Kind.KILL_SERVER:
            self.server.kill()
        elif kind is Kind.FREEZE_SERVER:
            self.server.freeze()
        elif kind is Kind.CLOSE_CONNECTIONS:
            return self._closed(None)
        elif kind is Kind.DISK_FULL:
            self.server.control("set_disk_free_limit", NO_DISK)
        elif kind is Kind.GARBAGE:
            self.messages.spoil(fault)
        elif kind is Kind.REMOVE_QUEUE:
            self._fresh = True
            with Connection(f"127.0.0.1:{self.server.port}") as connection:
                connection.channel().queue_delete(fault.of(self.messages.job_queues))
        return True

    def mend(self, fault: Fault) -> bool:
        if fault.kind in OF_A_SERVER:
            # It takes a while, in which other faults come to their end.
            if self.server.process is None:
                self.server.start(wait=False)
            return self.server.answers()
        if fault.kind is Kind.FREEZE_SERVER:
            self.server.thaw()
        elif fault.kind is Kind.DISK_FULL:
            self.server.control("set_disk_free_limit", ENOUGH_DISK)
        return True

    def close_connections(self, addresses: list[str]) -> bool:
        """Close the connections that come from ``addresses``."""
        return self._closed([int(address.rpartition(":")[2]) for address in addresses])

    def _closed(self, ports: list[int] | None) -> bool:
        if self.server.process is None or not self.server.answers():
            return False
        try:
            self.server.close_connections(ports)
        except (CalledProcessError, TimeoutExpired):  # it goes down, or stands still
            return False
        return True


@dataclass
class SharedPost:
    """What stands for a RabbitMQ that is not ours to stop, and whose other users hear us, too."""

    server: SharedRabbit
    kinds: tuple[Kind, ...] = OF_A_SERVER

    def begin(self, fault: Fault) -> bool:
        self.server.stop()
        return True

    def mend(self, fault: Fault) -> bool:
        self.server.start()
        return True

    def close_connections(self, addresses: list[str]) -> bool:
        """Say that it can not be asked to."""
        return False
