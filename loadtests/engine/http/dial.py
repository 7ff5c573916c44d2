"""Making a connection: the socket, and TLS over it where the origin asks for it. Happens once in a while, so it may be slow."""

import _socket
import errno
import os
import socket

import gevent
from gevent import get_hub

from loadtests.engine.http.failures import Failure, connect_failure
from loadtests.engine.http.origin import Address, Origin
from loadtests.engine.http.tls import TlsCodec

READ, WRITE = 1, 2
HANDSHAKE_BYTES = 16_384
UNIX_RETRY_S = 0.01


def wait_for(sock: _socket.socket, event: int) -> None:
    """Let others run until the socket is ready to be read (READ) or written (WRITE)."""
    hub = get_hub()
    watcher = hub.loop.io(sock.fileno(), event)
    try:
        hub.wait(watcher)
    finally:
        watcher.close()


def dial(origin: Origin) -> tuple[_socket.socket, TlsCodec | None]:
    """A connected socket, and its TLS. Tries each address, the one that worked last first. Raises Failure."""
    failure: Failure | None = None
    for address in origin.addresses():
        sock = None
        try:
            sock = _connect(address)
            tls = None if origin.context is None else _handshake(sock, TlsCodec(origin.context, origin.host))
        except OSError as error:
            failure = connect_failure(error)
        else:
            origin.worked(address)
            connected, sock = sock, None
            return connected, tls
        finally:
            if sock is not None:
                sock.close()
    gevent.sleep(0)  # without it, users who never pause would go on failing and let nobody else run
    raise failure or Failure("dns", origin.host)


def _connect(address: Address) -> _socket.socket:
    family, where = address
    sock = _socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(where)
        while code == errno.EAGAIN and family == socket.AF_UNIX:  # its server has a full queue
            gevent.sleep(UNIX_RETRY_S)
            code = sock.connect_ex(where)
        while code in {errno.EINPROGRESS, errno.EALREADY}:
            wait_for(sock, WRITE)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise
    return sock


def _handshake(sock: _socket.socket, tls: TlsCodec) -> TlsCodec:
    done = False
    while not done:
        try:
            done = tls.handshake()
        finally:
            rest = tls.to_send()  # after a failure, the alert that tells the server
            while rest:
                try:
                    rest = rest[sock.send(rest) :]
                except BlockingIOError:
                    wait_for(sock, WRITE)
        if not done:
            wait_for(sock, READ)
            tls.feed(sock.recv(HANDSHAKE_BYTES))
    return tls
