"""A TLS certificate for tests, made by the `openssl` command."""

import shutil
import ssl
import subprocess
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Identity:
    """A certificate that its owner has signed, for `localhost` and `target.test` and no address."""

    certificate: Path
    key: Path
    asked: list[str | None] = field(default_factory=list)
    """Names that clients asked for."""

    def server_side(self, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        """How a server with this certificate speaks."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = version
        context.load_cert_chain(self.certificate, self.key)
        context.set_alpn_protocols(["h2", "http/1.1"])
        context.sni_callback = lambda _sock, name, _context: self.asked.append(name)
        return context


def make_identity(folder: Path) -> Identity:
    """A new one. Raises RuntimeError when the command is missing."""
    if shutil.which("openssl") is None:
        raise RuntimeError("openssl is missing (Debian: apt-get install openssl)")
    made = Identity(folder / "certificate.pem", folder / "key.pem")
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,DNS:target.test"]
    files = ["-keyout", str(made.key), "-out", str(made.certificate)]
    subprocess.run([*command, *names, *files], check=True, capture_output=True, timeout=30)
    return made
