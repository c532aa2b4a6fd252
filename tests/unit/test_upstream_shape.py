"""Notices when what we override or rely on in the private parts of Kombu and Celery has changed.

A failure is no bug: read the upstream change, see whether the override still fits, then renew the
hash (the message shows the new one).
"""

from __future__ import annotations

import hashlib
import inspect

import amqp
import pytest
from billiard import common, pool
from celery.apps import worker
from celery.concurrency import asynpool, prefork
from celery.worker import request
from celery.worker.consumer import consumer
from kombu import connection as kombu_connection
from kombu.connection import Connection
from kombu.transport import redis
from kombu.transport.virtual import base, exchange
from redis import connection as redis_py

SHAPES = {
    "redis.QoS": "2a3e5c43dc03",
    "redis.MultiChannelPoller.on_poll_start": "414f76caaa67",
    "redis.MultiChannelPoller.on_readable": "c0d99f241607",
    "redis.MultiChannelPoller.get": "e0f960e0c328",
    "redis.MultiChannelPoller._register_BRPOP": "85724582464a",
    "redis.MultiChannelPoller._update_brpop_polling": "de7b4600acf5",
    "redis.MultiChannelPoller.maybe_restore_messages": "6c267815d521",
    "redis.MultiChannelPoller.maybe_check_brpop_health": "0dc592e46353",
    "redis.PublishBatch.publish": "907967955e6f",
    "redis.PublishBatch.add": "a5277c800b48",
    "redis.GlobalKeyPrefixMixin": "33c642b69bbf",
    "redis.Channel.__init__": "f189bdebe243",
    "redis.Channel._after_fork": "42364ec5b4b1",
    "redis.Channel._disconnect_pools": "db50da048a22",
    "redis.Channel._on_connection_disconnect": "9eab3394f78b",
    "redis.Channel.basic_consume": "34e0da85e689",
    "redis.Channel.basic_cancel": "d2e3a03a48d2",
    "redis.Channel._brpop_start": "06723d707ddf",
    "redis.Channel._receive_one": "d59b8751d897",
    "redis.Channel._handle_message": "bd937de57bcd",
    "redis.Channel._deliver_fanout_message": "06662335a70a",
    "redis.Channel._brpop_read": "c42518699709",
    "redis.Channel._poll_error": "2c941c0124b9",
    "redis.Channel._subscribe": "e2d449e9f594",
    "redis.Channel._receive": "b215b6226f2f",
    "amqp.Channel.basic_publish_confirm": "4140656833f6",
    "amqp.Channel._basic_publish": "435fd18a6c88",
    "amqp.Channel.close": "c230d093c167",
    "amqp.Connection.collect": "96c9a41ec9ba",
    "amqp.Connection._on_blocked": "c2bb70d72ddb",
    "kombu.ConnectionPool.new": "bfd71d1f6d0c",
    "kombu.Connection.Pool": "047689e510e9",
    "redis_py.AbstractConnection.on_connect_check_health": "fb8e8114ccbf",
    "redis_py.Connection.read_response": "695c89984330",
    "redis.Channel._get": "be26a9f1eb4c",
    "redis.Channel._q_for_pri": "f3997660680d",
    "redis.Channel.priority": "3268c345339a",
    "redis.Channel._put": "1c0cf9749576",
    "redis.Channel._queue_bind": "29b73e023af6",
    "redis.Channel.get_table": "a4ba78a22653",
    "redis.Channel._delete": "4e33e7dc5845",
    "redis.Channel._purge": "221e37da7c17",
    "redis.Channel.close": "101e9b9cdad4",
    "redis.Channel._close_clients": "0e15da1c9ab7",
    "redis.Channel._connparams": "e9a4295085a8",
    "redis.Channel._create_client": "dae92bc4075d",
    "redis.Channel.conn_or_acquire": "25883caca6c4",
    "redis.Channel.pool": "5a99b1533403",
    "redis.Transport": "e360a7e9e0e0",
    "base.QoS": "f884d8db8d64",
    "base.Message": "03eca4812d47",
    "base.Channel.basic_consume": "0fec96269493",
    "base.Channel.basic_get": "ba4884c15b6b",
    "base.Channel.basic_ack": "3b4278c757b4",
    "base.Channel.basic_reject": "d49bbd211da7",
    "base.Channel.basic_publish": "83825b675871",
    "base.Channel._lookup": "82b0e60149b5",
    "exchange.TopicExchange": "18f3baad2c4e",
    "base.Channel.close": "26368e1cadfc",
    "base.Transport.drain_events": "dc55900aa0d2",
    "base.Transport.close_connection": "e16eb2eabe26",
    "base.Transport._deliver": "799e242f3ec5",
    "Connection.__init__": "e9c58f881d0a",
    "Connection.as_uri": "84a4b582d143",
    "Connection.clone": "6a1d0806051d",
    "Connection._info": "d756812a3936",
    "asynpool.AsynPool.flush": "a7671d710b57",
    "asynpool.AsynPool._flush_writer": "07f00b50a580",
    "asynpool.AsynPool._create_write_handlers": "f5f9b8dc805b",
    "asynpool.ResultHandler._make_process_result": "0226429696d5",
    "pool.ApplyResult": "0e0753f51fd2",
    "prefork.TaskPool.on_start": "7fcf20251a65",
    "common._shutdown_cleanup": "5b2da17a84fa",
    "common.terminate_handler_fired": "4bcb2a095038",
    "pool.Pool.shrink": "f1a8e9000046",
    "asynpool.AsynPool.on_partial_read": "99d11508d733",
    "request.Request.cancel": "5078dd292fc6",
    "consumer.Consumer.cancel_active_requests": "e4d13603d8d8",
    "worker.on_cold_shutdown": "0283849754eb",
}
UPSTREAM = {
    "redis": redis,
    "redis_py": redis_py,
    "amqp": amqp,
    "kombu": kombu_connection,
    "base": base,
    "exchange": exchange,
    "Connection": Connection,
    "asynpool": asynpool,
    "pool": pool,
    "prefork": prefork,
    "common": common,
    "request": request,
    "consumer": consumer,
    "worker": worker,
}


def shape(found: object) -> str:
    if isinstance(found, property):
        found = found.fget
    return hashlib.sha256(inspect.getsource(found).encode()).hexdigest()[:12]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SHAPES)
def test_upstream_is_as_it_was(name):
    """The source of this private part is the one that ours was written for."""
    found: object = UPSTREAM[name.split(".")[0]]
    for part in name.split(".")[1:]:
        found = inspect.getattr_static(found, part)
    assert shape(found) == SHAPES[name], f'now "{name}": "{shape(found)}"'
