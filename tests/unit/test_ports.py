"""Where a run's servers listen when their own ports are taken."""

from pathlib import Path

import pytest

from loadtests.orchestrate.ports import Ports, lasting_ports


@pytest.mark.parametrize(
    ("ephemeral", "ports"),
    [
        pytest.param("32768\t60999\n", range(10_000, 32_768), id="as Linux has it"),
        pytest.param("10240\t50000\n", range(50_001, 65_536), id="few below"),
        pytest.param("1024\t65535\n", range(10_000, 65_536), id="none left"),
        pytest.param("what?\n", range(10_000, 65_536), id="not two numbers"),
    ],
)
def test_ports_outgoing_connections_do_not_get(ephemeral: str, ports: range, tmp_path: Path) -> None:
    """They are looked for outside the range of outgoing connections, and anywhere if that range has nearly all."""
    (tmp_path / "range").write_text(ephemeral)
    assert lasting_ports(tmp_path / "range") == ports
    assert lasting_ports(tmp_path / "missing") == range(10_000, 65_536)


def test_found_port_is_a_lasting_one() -> None:
    """A port that was taken is replaced by one that no outgoing connection can take before its server has it."""
    one, two = Ports(), Ports()
    try:
        chosen = one.choose(0)
        assert chosen in lasting_ports()
        assert two.choose(chosen) in set(lasting_ports()) - {chosen}
    finally:
        one.release()
        two.release()
