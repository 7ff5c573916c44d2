"""`loadtest worker`: where the master is, what workers are called, what the command ends with."""

import pytest

from loadtests.errors import InputError
from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.joining import Joining, address_of, worker_names, worst


def test_addresses() -> None:
    """With a port, or with the usual one."""
    assert address_of("127.0.0.1:6000") == ("127.0.0.1", 6000)
    assert address_of("127.0.0.1") == ("127.0.0.1", 5557)


@pytest.mark.parametrize(
    "text", ["", ":5557", "host:", "host:port", "127.0.0.1:0", "127.0.0.1:65536", "a b", "::1", "[::1]:5557", "host:-1"]
)
def test_what_is_no_address(text: str) -> None:
    """One line that names the option."""
    with pytest.raises(InputError, match="--master: "):
        address_of(text)


def test_numbers_that_cannot_work() -> None:
    """No worker, or no time to wait."""
    with pytest.raises(InputError, match="--processes: must be at least 1"):
        Joining("127.0.0.1", 5557, 0, 60.0, {})
    for wait_s in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="--wait: must be more than 0 s"):
            Joining("127.0.0.1", 5557, 1, wait_s, {})


def test_names() -> None:
    """One worker has the machine's name, several are numbered."""
    assert worker_names("box", 1) == ["box"]
    assert worker_names("box", 2) == ["box-1", "box-2"]


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([0, 0], ExitCode.PASS),
        ([0, 3], ExitCode.INVALID),
        ([3, 2, 0], ExitCode.BAD_INPUT),
        ([0, -9], ExitCode.INVALID),
        ([1], ExitCode.INVALID),
    ],
)
def test_exit_code(codes: list[int], code: ExitCode) -> None:
    """That of the worst; a worker that was killed did not come to its end."""
    assert worst(codes) is code
