"""The publishing side of a channel, and the connections that both sides use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from kombu.transport import redis as stock
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps
from redis import Redis

from purista_celery.redis_client import KeptConnection, heeding
from purista_celery.transport.keys import HINTS_KEPT, HINTS_LIVE_MS, Keys
from purista_celery.transport.scripts import PUBLISH, Argument, Condition, fan_out


class Publishing(stock.Channel):
    """A Redis channel that leaves a hint for waiting workers with each message."""

    #: Transport option: priority 9 before 0, as AMQP has it. Kombu's Redis transport, and so this
    #: one by default, has 0 before 9.
    priority_highest_first = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Made now: after a lost connection there is nothing left to make it from, and late
        # acknowledgements need it (Kombu ends the worker there, with an AttributeError).
        self._lasting_pool = self.pool
        #: Version and bindings of each exchange, as they were when something was last published.
        self._bindings: dict[str, tuple[str, list[tuple[str, ...]]]] = {}

    @cached_property
    def keys(self) -> Keys:
        """Where things are in Redis."""
        return Keys(
            prefix=self.global_keyprefix,
            sep=self.sep,
            steps=tuple(self.priority_steps),
            unacked_key=self.unacked_key,
            unacked_index_key=self.unacked_index_key,
            highest_first=self.priority_highest_first,
        )

    @cached_property
    def plain_client(self) -> Redis:
        """A client for scripts, which take whole key names."""
        return KeptConnection(self.pool)

    @cached_property
    def _command_client(self) -> Any:
        return self._create_client()

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """Yield the channel's client: making one for each command costs a sixth of a worker."""
        yield client or self._command_client

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001
        params: dict[str, Any] = super()._connparams(asynchronous)
        if "path" in params:
            # Kombu takes these from the URL of a socket, where the transport has moved them out.
            broker = self.connection.client
            params.update(username=broker.userid, password=broker.password)
        params["connection_class"] = heeding(params["connection_class"])
        return params

    def _disconnect_pools(self) -> None:
        # Kombu would forget the pool, and cut off the thread that is sending acknowledgements.
        lasting, self._pool = self.__dict__.get("_lasting_pool"), None
        if kept := self.__dict__.get("plain_client"):
            kept.close()
        super()._disconnect_pools()
        if lasting is not None:
            lasting.disconnect(inuse_connections=False)
        self._pool = lasting

    def _after_fork(self) -> None:
        super()._after_fork()
        self.__dict__.pop("plain_client", None)
        self.__dict__.pop("_command_client", None)

    @property
    def fans_out(self) -> bool:
        """Whether :meth:`fan_out` does all that a put does: no queue known here expires."""
        return not self._expires

    def fan_out(
        self,
        message: dict[str, Any],
        exchange: str,
        routing_key: str,
        condition: Condition | None = None,
    ) -> list[str]:
        """Store ``message`` in every queue that hears it, by the bindings of that very moment.

        Kombu asks for the bindings, then stores: a queue that is bound in between gets nothing.
        Here they are compared in the step that stores, and read again only if they have changed.

        Returns:
            ``["done"]``, or the answer of the ``condition`` that refused.
        """
        text, priority = dumps(message), self._get_message_priority(message, reverse=False)
        version, bindings = self._bindings.get(exchange, ("", []))
        while True:
            hearers = self.typeof(exchange).lookup(bindings, exchange, routing_key, None)
            keys = [self.global_keyprefix + self.keyprefix_queue % exchange]
            for queue in hearers:
                keys += [self.keys.queue(queue, priority), self.keys.wake(queue)]
            arguments: list[Argument] = [version, text, HINTS_KEPT, HINTS_LIVE_MS]
            if condition:
                keys += condition.keys
                arguments += [len(condition.keys), *condition.arguments]
            script = fan_out(condition.source if condition else None)
            changed = script.run(self.plain_client, keys, arguments)
            if not changed:
                return ["done"]
            version, *members = map(bytes_to_str, changed)
            if not version:
                return members
            bindings = [tuple(member.split(self.sep)) for member in members]
            self._bindings[exchange] = version, bindings

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        keys = [
            self.keys.queue(queue, self._get_message_priority(message, reverse=False)),
            self.keys.wake(queue),
        ]
        expires = self._expires.get(queue)
        if expires is not None:
            keys += self.keys.lists(queue)
        arguments: list[Argument] = [
            dumps(message),
            HINTS_KEPT,
            HINTS_LIVE_MS,
            "" if expires is None else expires,
        ]
        batch = kwargs.pop("_publish_batch", None)
        if batch is None:
            PUBLISH.run(self.plain_client, keys, arguments)
        else:
            # In full: a pipeline can not load a script half-way.
            batch.add("eval", PUBLISH.source, len(keys), *keys, *arguments)

    def _has_queue(self, queue: str, **kwargs: Any) -> bool:  # noqa: ARG002
        # Kombu asks by EXISTS, which its global_keyprefix does not prefix.
        return bool(self._size(queue))

    def _purge(self, queue: str) -> int:
        purged: int = super()._purge(queue)
        self.plain_client.delete(self.keys.wake(queue))
        return purged

    def _delete(self, queue: str, *args: Any, **kwargs: Any) -> None:
        super()._delete(queue, *args, **kwargs)
        self.plain_client.delete(self.keys.wake(queue))
