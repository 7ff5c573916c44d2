"""Tokens over a run: each user has its own, and it is renewed before it expires."""

from pathlib import Path

from tests.e2e.command import run
from tests.e2e.conftest import HOSTED, Target

MINT = 'mode = "mint"\nsubject = "agenthq:loadtest:{user}"\ncheck = "/api/v1/auth/me"'
GUEST = 'mode = "guest"\nlogin = "/api/v1/auth/guest"\nrefresh = "/api/v1/auth/refresh"'


def _scenario(folder: Path, auth: str) -> str:
    text = Path(HOSTED).read_text()
    assert MINT in text
    file = folder / "tokens.toml"
    file.write_text(text.replace(MINT, auth))
    return str(file)


def test_minted_tokens_are_renewed(target: Target, out: Path, tmp_path: Path) -> None:
    """Tokens that live 3 s last a run of 10 s, because each user signs a new one before the old one expires."""
    scenario = _scenario(tmp_path, f'{MINT}\nttl = "3s"\nrefresh_before = "1500ms"')
    finished = run(scenario, "--users", "20", "--duration", "10s", "--host", target.host, out=out, env=target.env).finish()
    assert finished.code == 0, finished.output + finished.errors
    summary = finished.json("summary.json")
    # The target allows 2 s of clock skew, so a token that was never renewed would be refused from the sixth second on.
    assert summary["failures"] == 0
    assert summary["requests"] > 150


def test_guest_tokens_are_refreshed(target: Target, out: Path, tmp_path: Path) -> None:
    """Guests log in once and refresh through the API; both are series of their own, apart from the mix."""
    # The target's tokens live 30 minutes: renewing them 1,798 s before their end is every other second.
    scenario = _scenario(tmp_path, f'{GUEST}\nrefresh_before = "1798s"')
    finished = run(scenario, "--users", "10", "--duration", "8s", "--host", target.host, out=out, env=target.env).finish()
    assert finished.code == 0, finished.output + finished.errors
    summary, ledger = finished.json("summary.json"), finished.json("ledger.json")
    costs = summary["authentication"]
    assert costs["auth_login"]["requests"] == 10
    assert 20 <= costs["auth_refresh"]["requests"] <= 60
    assert sum(cost["failures"] for cost in costs.values()) == 0
    authentication = sum(cost["requests"] for cost in costs.values())
    assert ledger["requests"]["authentication"] == authentication
    assert ledger["requests"]["ok"] == summary["requests"] + authentication
    assert "apart from them: auth_login 10" in finished.output
    assert ledger["balanced"], ledger["imbalances"]
