"""Accepted tasks of a target whose database is not known: followed and sampled through its API, as its users would."""

from pathlib import Path

from loadtests import settings
from loadtests.store.records import read_lines
from tests.e2e.command import run
from tests.e2e.conftest import HOSTED, Target

API = """
[tasks.api]
page = "/api/v1/tasks?page={page}&page_size=5"
item = "/api/v1/tasks/{id}"
"""


def test_tasks_are_followed_and_sampled_by_api(target: Target, out: Path, tmp_path: Path) -> None:
    """Each user's tasks, over several pages, come to their end; none is foreign, though the stack has those of other runs."""
    scenario = tmp_path / "by-api.toml"
    asked = '[objectives]\nsampled = "tasks_sampled_processing.max < 20s"\nbegun = "task_wait.p95 < 20s"\n'
    scenario.write_text(Path(HOSTED).read_text().split("[tasks]")[0].replace("[objectives]\n", asked) + API)
    env = {name: value for name, value in target.env.items() if name != settings.DSN}
    finished = run(str(scenario), "--users", "10", "--duration", "6s", "--host", target.host, out=out, env=env).finish()
    assert finished.code == 0, finished.output + finished.errors
    tasks = finished.json("ledger.json")["tasks"]
    assert tasks["accepted"] == tasks["completed"] > 5
    assert (tasks["foreign"], tasks["lost"], tasks["unfinished"], tasks["duplicated"]) == (0, 0, 0, 0)
    (followed,) = (event for event in read_lines(finished.folder / "events.jsonl") if event["event"] == "followed")
    assert (followed["by"], followed["known"], followed["trouble"]) == ("api", tasks["accepted"], None)
