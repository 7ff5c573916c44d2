"""Every way in which a request can fail has a name, and only that name is counted.

connect_refused   nobody listens there
connect_timeout   the connection, or its TLS handshake, was not made in time
connect_failed    it could not be made for another reason (no route, a missing unix socket)
dns               the host's name could not be resolved
tls               the handshake failed: certificate, name or protocol
no_sockets        this machine has no file descriptor or no local port left: the generator's fault
send_timeout      the target did not take the request in time
read_timeout      no answer in time
total_timeout     the answer began, and was not complete in time
reset             the connection was reset
closed            the connection was closed before the first byte of an answer
truncated         it was closed in the middle of the answer
malformed         the answer is not HTTP/1.1, or its body is not what its Content-Encoding says
too_large         the head or the body is longer than allowed
redirects         too many redirects, or one to something that is not HTTP
network           another error of the operating system
status_404 ...    an answer whose status was not expected
rejected          a journey's own check did not like the answer
abandoned         still unanswered when the drain ended
stopped           the user was stopped while it waited
cancelled         the user's own code did not wait any longer (gevent.Timeout)
error             an exception of the harness's own: a bug; the log has it
"""

import errno
import ssl

OUT_OF_SOCKETS = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM}


class Failure(Exception):
    """A request that got no usable answer; `kind` is one of the names above, `__cause__` the error behind it, if any.

    Locust groups failures by their text: it says what, and never how much.
    """

    def __init__(self, kind: str, text: str = "") -> None:
        super().__init__(f"{kind}: {text}" if text else kind)
        self.kind = kind

    @property
    def original(self) -> Exception:
        """The error behind it, or itself."""
        return self.__cause__ if isinstance(self.__cause__, Exception) else self


def connect_failure(error: OSError) -> Failure:
    """What an error means while a connection is being made."""
    if isinstance(error, ssl.SSLError):
        kind = "tls"
    elif isinstance(error, ConnectionRefusedError):
        kind = "connect_refused"
    elif error.errno == errno.ETIMEDOUT:
        kind = "connect_timeout"
    elif isinstance(error, ConnectionResetError):
        kind = "reset"
    elif error.errno in OUT_OF_SOCKETS:
        kind = "no_sockets"
    else:
        kind = "connect_failed"
    return caused(kind, error)


def exchange_failure(error: OSError) -> Failure:
    """What an error means once there is a connection."""
    match error:
        case ConnectionResetError() | BrokenPipeError():
            kind = "reset"
        case ssl.SSLError():
            kind = "tls"
        case OSError(errno=errno.ETIMEDOUT):
            kind = "read_timeout"
        case _:
            kind = "network"
    return caused(kind, error)


def caused(kind: str, error: Exception) -> Failure:
    """A failure of this kind that comes from `error`."""
    failure = Failure(kind, str(error))
    failure.__cause__ = error
    return failure
