"""TLS in memory: bytes in, bytes out, so that a connection waits for its socket in one way only."""

import ssl


def verifying_context() -> ssl.SSLContext:
    """Certificates and names are checked."""
    return _http11(ssl.create_default_context())


def unverified_context() -> ssl.SSLContext:
    """Nothing is checked, as Locust's FastHttpUser does it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _http11(context)


def _http11(context: ssl.SSLContext) -> ssl.SSLContext:
    context.set_alpn_protocols(["http/1.1"])
    return context


class TlsCodec:
    """One side of a TLS connection. Its methods raise ssl.SSLError."""

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    def handshake(self) -> bool:
        """Take another step; True when it is done."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def feed(self, received: bytes) -> None:
        """Bytes from the socket; nothing means that it was closed."""
        if received:
            self._incoming.write(received)
        else:
            self._incoming.write_eof()

    def to_send(self) -> bytes:
        """Bytes for the socket: handshake, alerts, encrypted data."""
        return self._outgoing.read()

    def encrypt(self, data: bytes) -> bytes:
        """The data as bytes for the socket."""
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view) :]
        return self._outgoing.read()

    def read(self, size: int) -> bytes | None:
        """Decrypted bytes, nothing at the end, None when more must be fed first."""
        try:
            return self._tls.read(size)
        except ssl.SSLWantReadError:
            return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
