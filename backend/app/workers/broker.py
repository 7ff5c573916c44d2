"""Celery's Redis transport, made to survive a broker that goes away.

In kombu 5.7.0 a channel whose connection was lost may be closed only after its transport was
taken apart. Giving back messages, or acknowledging a task that ends later, then fails with an
AttributeError that nothing expects, and it ends the worker. There is nothing to be done on such
a channel: its messages come back by the visibility timeout or by the relay's sweep, and a task
that has ended is not claimed again.
"""

from typing import TextIO

from kombu.transport import redis


class _QoS(redis.QoS):
    def restore_unacked_once(self, stderr: TextIO | None = None) -> None:
        if self._is_connected():
            super().restore_unacked_once(stderr)

    def ack(self, delivery_tag: str) -> None:
        if self._is_connected():
            super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if self._is_connected():
            super().reject(delivery_tag, requeue)

    def _is_connected(self) -> bool:
        transport = self.channel.connection
        return transport is not None and transport.client is not None


class _Channel(redis.Channel):
    QoS = _QoS


class Transport(redis.Transport):
    """The transport to name in `broker_transport`."""

    Channel = _Channel
