"""TLS in memory, against Python's own server side and against OpenSSL's."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.http_lab import Lab
from tests.identity import Identity
from tests.raw_server import Peer, Script, always, answer, close, half_close, ignore, pause, raw_server, read, read_some

TRUSTING = """
import ssl
def trusting():
    return ssl.create_default_context(cafile=certificate)
"""


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_requests_over_tls(lab: Lab, identity: Identity, version: ssl.TLSVersion) -> None:
    """Small and large bodies in both directions travel on one kept TLS connection, session tickets among them."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    script: Script = [read, answer(b"x" * 200_000), read, chunked, read, answer(b"a"), pause(0.05), read, answer(b"b")]
    with raw_server(script, tls=identity.server_side(version)) as server:
        played = lab.play(
            """
            session = make()
            out["large"] = len(session.get("/").content)
            out["shown"] = [show(session.post("/", data="x" * 3_000_000)), show(session.get("/", stream=True))]
            sleep(0.1)
            out["shown"].append(show(session.post("/")))
            """,
            server,
        )
        assert len(server.requests[1][1]) > 3_000_000
    assert played.out == {"large": 200_000, "shown": [[200, None, "ok"], [200, None, "a"], [200, None, "b"]]}
    assert played.opened == 1


def test_certificate_nobody_knows(lab: Lab, identity: Identity) -> None:
    """A certificate that is not to be trusted is refused by default, and by name; without verification it is taken."""
    with raw_server([always(answer())], tls=identity.server_side()) as server:
        played = lab.play(
            """
            strict = make(context_factory=verifying_context)
            response = strict.get("/")
            out["error"], out["open"] = str(response.error), network.sockets.open
            out["shown"] = [show(response), show(make().get("/"))]
            from loadtests.engine.http.client import Options
            out["default"] = Options().context_factory is verifying_context
            """,
            server,
        )
    assert "CERTIFICATE_VERIFY_FAILED" in played.out["error"]
    assert played.out["shown"] == [[0, "tls", None], [200, None, "ok"]]
    assert played.out["open"] == 0 and played.out["default"]


def test_name_is_checked_and_asked_for(lab: Lab, identity: Identity) -> None:
    """A trusted certificate is taken under its own name, which the server is told, and refused under an address."""
    identity.asked.clear()
    with raw_server([always(answer())], tls=identity.server_side()) as server:
        played = lab.play(
            TRUSTING
            + """
right, wrong = f"https://localhost:{port}", f"https://127.0.0.1:{port}"
sessions = [make(url, context_factory=trusting) for url in (right, wrong)]
responses = [session.get("/") for session in sessions]
out["shown"], out["error"] = [show(response) for response in responses], str(responses[1].error)
""",
            server,
            port=server.port,
            certificate=str(identity.certificate),
        )
    assert played.out["shown"] == [[200, None, "ok"], [0, "tls", None]]
    assert "IP address mismatch" in played.out["error"]
    assert identity.asked == ["localhost", None]


def test_protocol_is_agreed_on(lab: Lab, identity: Identity) -> None:
    """A server that would rather speak HTTP/2 is told that it is HTTP/1.1."""
    spoken: list[str | None] = []

    def note(peer: Peer) -> None:
        """Remember what was agreed on."""
        assert isinstance(peer.sock, ssl.SSLSocket)
        spoken.append(peer.sock.selected_alpn_protocol())

    with raw_server([note, always(answer())], tls=identity.server_side()) as server:
        lab.play('make().get("/")', server)
    assert spoken == ["http/1.1"]


NOT_TLS: dict[str, tuple[str, Script]] = {
    "plain http": ("tls", [read_some, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"]),
    "closed": ("tls", [read_some, close]),
    "silent": ("connect_timeout", [read_some, ignore]),
}


@pytest.mark.parametrize("name", NOT_TLS)
def test_handshake_that_fails(lab: Lab, name: str) -> None:
    """A server that does not speak TLS, hangs up, or says nothing."""
    kind, script = NOT_TLS[name]
    with raw_server(script) as server:
        url = server.url.replace("http:", "https:")
        played = lab.play('make(connect_s=0.3).get("/"); out["open"] = network.sockets.open', url)
    assert played.kinds == [kind] and played.out["open"] == 0


def test_old_protocol_is_refused(lab: Lab, identity: Identity) -> None:
    """A server that is too old for the client's context fails by the name of TLS."""
    with raw_server([always(answer())], tls=identity.server_side(ssl.TLSVersion.TLSv1_2)) as server:
        played = lab.play(
            TRUSTING.replace("return ", "context = ")
            + "    context.minimum_version = ssl.TLSVersion.TLSv1_3\n    return context\n"
            'make(context_factory=trusting).get("/")',
            server,
            certificate=str(identity.certificate),
        )
    assert played.kinds == ["tls"]


ENDS: dict[str, Script] = {
    "properly": [read, answer(), pause(0.05), close],
    "without a word": [read, answer(), pause(0.05), half_close],
}


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("hub", [True, False], ids=["asleep", "busy"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_end_of_an_idle_tls_connection(lab: Lab, identity: Identity, name: str, hub: bool, method: str) -> None:
    """A TLS connection that ends under a sleeping or busy user fails nothing; the next request makes a new one."""
    with raw_server(ENDS[name], [read, answer(b"new")], tls=identity.server_side()) as server:
        played = lab.play(
            """
            session = make()
            session.get("/")
            used_s = cpu_s()
            (sleep if hub else sleep_without_the_hub)(0.15)
            out["cpu_s"], out["open"] = cpu_s() - used_s, network.sockets.open
            out["shown"] = show(session.request(method, "/"))
            """,
            server,
            hub=hub,
            method=method,
        )
    assert played.out["shown"] == [200, None, "new"] and played.kinds == [None, None]
    assert played.out["cpu_s"] < 0.05
    assert played.out["open"] == 0 or not hub


def test_cut_off_tls_answer(lab: Lab, identity: Identity) -> None:
    """An answer that ends in its middle is truncated, with or without TLS's own goodbye."""
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"
    with raw_server([read, cut, close], [read, cut, half_close], tls=identity.server_side()) as server:
        played = lab.play('session = make(read_s=2.0); session.get("/"); session.get("/")', server)
    assert played.kinds == ["truncated", "truncated"]


def test_total_limit_is_one_limit(lab: Lab, identity: Identity) -> None:
    """Connecting and sending together have no more time than the whole exchange has."""

    def slow_handshake(peer: Peer) -> None:
        """Shake hands late, then read nothing."""
        peer.server.over.wait(0.3)
        peer.sock = identity.server_side().wrap_socket(peer.sock, server_side=True)
        ignore(peer)

    with raw_server([slow_handshake]) as server:
        played = lab.play(
            """
            session = make(total_s=0.4, connect_s=5.0, send_s=5.0, read_s=5.0)
            begun = now()
            session.post("/", data="x" * 12_000_000)
            out["s"] = now() - begun
            """,
            server.url.replace("http:", "https:"),
        )
    assert played.kinds in (["send_timeout"], ["total_timeout"])
    assert played.out["s"] < 0.6


@contextmanager
def openssl_server(identity: Identity) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """OpenSSL's own server: it sends what is written to it, and a line `K` makes it change its keys and ask for ours."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    command = [
        "openssl",
        "s_server",
        "-accept",
        address,
        "-tls1_3",
        "-cert",
        str(identity.certificate),
        "-key",
        str(identity.key),
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
    ) as process:
        try:
            wait_for(process, b"ACCEPT")
            yield f"https://{address}", process
        finally:
            process.kill()


def wait_for(process: "subprocess.Popen[bytes]", text: bytes) -> None:
    """Read what OpenSSL says until it has said this."""
    assert process.stdout is not None
    said = b""
    while text not in said:
        data = process.stdout.read(4096)
        assert data, said
        said += data


@pytest.mark.parametrize("hub", [True, False], ids=["asleep", "busy"])
def test_tls_talks_to_itself_while_idle(lab: Lab, identity: Identity, hub: bool) -> None:
    """Records without data that arrive under a sleeping user (new keys, as session tickets) are no end and no answer."""
    with openssl_server(identity) as (url, process):

        def answer_twice() -> None:
            """Answer, then change keys while the client has nothing to ask, then answer again."""
            assert process.stdin is not None
            for number in (b"/1", b"/2"):
                wait_for(process, b"GET " + number)
                process.stdin.write(answer(number))
                time.sleep(0.05)
                process.stdin.write(b"K\n")

        thread = threading.Thread(target=answer_twice)
        thread.start()
        played = lab.play(
            """
            session = make(read_s=5.0)
            out["shown"] = [show(session.get("/1"))]
            used_s = cpu_s()
            (sleep if hub else sleep_without_the_hub)(0.3)
            out["cpu_s"], out["open"] = cpu_s() - used_s, network.sockets.open
            out["shown"].append(show(session.get("/2")))
            """,
            url,
            hub=hub,
        )
        thread.join()
    assert played.out["shown"] == [[200, None, "/1"], [200, None, "/2"]]
    assert played.out["open"] == played.opened == 1
    assert played.out["cpu_s"] < 0.05
