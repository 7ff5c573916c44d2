"""What tests of the HTTP client share."""

from collections.abc import Iterator

import pytest

from tests.http_lab import Lab, running_lab
from tests.identity import Identity, make_identity


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One process with the client under test, for all scenarios."""
    with running_lab(tmp_path_factory.mktemp("lab") / "errors") as lab:
        yield lab


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """A TLS certificate that nobody trusts."""
    return make_identity(tmp_path_factory.mktemp("identity"))
