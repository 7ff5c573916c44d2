"""The figures of a run that compare, from its files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from loadtests.errors import InputError, RunError
from loadtests.report.measures import conditions_of, measures_of, measures_of_search, runs_under
from loadtests.report.write import write_report
from loadtests.store.folder import RunFolder
from loadtests.store.measured import differences
from loadtests.store.records import append_lines, read_json, write_json
from tests.unit.rich_run import probe_line
from tests.unit.runs import TEXT, SyntheticRun, complete, planned_samples
from tests.unit.texts import changed

PROBES = '\n[probes]\nprocesses = ["api", "redis"]\npostgres_statistics = true\n[probes.postgres]\noutbox = "SELECT 1"\n'


def judged(tmp_path: Path, text: str = TEXT + PROBES, **more: Any) -> RunFolder:
    """A whole run with its reports."""
    tmp_path.mkdir(exist_ok=True)
    run = SyntheticRun.create(tmp_path, text, **more)
    complete(run, planned_samples(run.plan, fail_every=20))
    rounds = [
        probe_line(
            second + 0.1,
            *(("cpu", selector, value) for selector, value in (("api", 0.4), ("api-1", 0.3), ("api-2", 0.4), ("redis", 0.1))),
            ("memory", "api", 1e6 + second),
            ("outbox", None, float(second)),
        )
        for second in range(10)
    ]
    append_lines(run.folder.file("probes.jsonl"), rounds)
    write_report(run.folder)
    return run.folder


def edited(folder: RunFolder, **changes: Any) -> Mapping[str, Any]:
    """The conditions of the run had its manifest said something else."""
    path = folder.file("manifest.json")
    before = read_json(path)
    write_json(path, {**before, **changes})
    measured = measures_of(folder)
    write_json(path, before)
    return measured.conditions


def test_figures_are_those_of_the_summary_in_base_units(tmp_path: Path) -> None:
    """Times in seconds, by request name; what counts as a ratio is one."""
    folder = judged(tmp_path)
    measured, summary = measures_of(folder), read_json(folder.file("summary.json"))
    times = summary["series"]["list_tasks"]["service_time_ms"]
    for quantile in ("p50", "p95", "p99"):
        assert measured.values[f"service_time(list_tasks).{quantile}"] == pytest.approx(times[quantile] / 1e3)
    assert measured.values["task_processing.p95"] == pytest.approx(1.0, rel=0.01)
    assert measured.values["failure_ratio"] == summary["failures"] / summary["requests"]
    assert measured.values["achieved"] == summary["achieved"]
    assert (measured.verdict, measured.scenario) == (read_json(folder.file("verdict.json"))["verdict"], "synthetic")


def test_cpu_is_that_of_all_instances_for_each_answered_request(tmp_path: Path) -> None:
    """Of a service with several instances the sum of theirs; the stack's is the sum of its services."""
    folder = judged(tmp_path)
    values, summary = measures_of(folder).values, read_json(folder.file("summary.json"))
    answered = summary["requests"] - summary["failures"]
    assert values["cpu_per_request(api)"] == pytest.approx(0.7 * 10 / answered)
    assert values["cpu_per_request(redis)"] == pytest.approx(0.1 * 10 / answered)
    assert values["cpu_per_request"] == pytest.approx(0.8 * 10 / answered)
    assert "cpu_per_request(api-1)" not in values
    assert (values["memory(api).max"], values["outbox.max"]) == (1e6 + 9, 9.0)


def test_other_limits_are_no_other_conditions_and_another_load_is(tmp_path: Path) -> None:
    """Objectives, health limits and words may change; users, mix, seed and what is probed may not."""
    plain = measures_of(judged(tmp_path / "a"))
    text = TEXT + PROBES
    for old, new in (("95 < 200ms", "95 < 300ms"), ("50ms", "60ms"), ("seed = 5", 'seed = 5\ndescription = "other"')):
        assert differences(plain, measures_of(judged(tmp_path / "b", changed(old, new, text)))) == []
    for old, new, key in (
        ("users = 6", "users = 8", "load.users"),
        ("weight = 3", "weight = 2", "mix"),
        ("seed = 5", "seed = 6", "seed"),
        ('"api", "redis"', '"api"', "probes.processes"),
    ):
        assert [one[0] for one in differences(plain, measures_of(judged(tmp_path / "c", changed(old, new, text))))] == [key]
    assert [one[0] for one in differences(plain, measures_of(judged(tmp_path / "d", workers=1)))] == ["workers"]


def test_the_host_counts_for_a_target_that_the_run_did_not_start(tmp_path: Path) -> None:
    """A stack of the run's own has any free port, which is no condition; its servers and settings are."""
    folder = judged(tmp_path)
    assert measures_of(folder).conditions["host"] == "http://127.0.0.1:1"
    own = edited(folder, stack="embedded", servers="wheels", stack_settings={"CACHE": "off"}, stack_commit="abc")
    assert "host" not in own
    assert (own["servers"], own["stack_settings.CACHE"]) == ("wheels", "off")


def test_a_recording_counts_by_what_is_in_it(tmp_path: Path) -> None:
    """It may lie elsewhere in another checkout, and two of one name may be two loads."""
    manifest = read_json(judged(tmp_path).file("manifest.json"))

    def condition(file: str, digest: str) -> object:
        manifest["plan"]["scenario"]["load"]["recording"], manifest["plan"]["recording"] = file, digest
        return conditions_of(manifest)["load.recording"]

    assert condition("/here/a.moments", "abc") == condition("/there/b.moments", "abc")
    assert condition("/here/a.moments", "abc") != condition("/here/a.moments", "abd")


def test_a_run_without_a_verdict_is_no_result(tmp_path: Path) -> None:
    """It says how to get one."""
    folder = judged(tmp_path)
    folder.file("verdict.json").unlink()
    with pytest.raises(InputError, match=r"has not been judged \(loadtest verdict /"):
        measures_of(folder)


def test_runs_are_found_in_a_folder_in_their_order(tmp_path: Path) -> None:
    """A run's own folder is one run; `latest` is none; neither is an error."""
    first = judged(tmp_path)
    results = first.path.parent
    (results / "latest").symlink_to(first.path.name)
    (results / "history").mkdir()
    assert [one.run_id for one in runs_under(results)] == [first.run_id]
    assert [one.run_id for one in runs_under(first.path)] == [first.run_id]
    with pytest.raises(InputError, match="neither a run's folder"):
        runs_under(tmp_path / "nowhere")


def searched(folder: Path, **answer: Any) -> Path:
    """A search whose only step is a run."""
    step = judged(folder)
    given = {"rate": 480.0, "confirmed_by": 1, "short_party": "target", **answer}
    steps = [{"number": 1, "folder": str(step.path.relative_to(folder))}]
    head = {"scenario": "capacity", "commit": "abc", "created": "2026-01-01T00:00:00"}
    write_json(folder / "capacity.json", {**head, "answer": given, "steps": steps})
    return folder


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        pytest.param({}, "pass", id="confirmed"),
        pytest.param({"short_party": None}, "pass", id="up to the highest rate"),
        pytest.param({"rate": None, "confirmed_by": None}, "fail", id="no rate passed"),
        pytest.param({"short_party": "generator"}, "invalid", id="it was the generator's limit"),
    ],
)
def test_a_search_has_one_figure_when_it_found_the_targets_limit(
    answer: Mapping[str, Any], verdict: str, tmp_path: Path
) -> None:
    """It ends as `loadtest capacity` does; how many users its steps had is no condition."""
    measured = measures_of_search(searched(tmp_path, **answer))
    assert (measured.verdict, measured.values.get("capacity")) == (verdict, 480.0 if verdict == "pass" else None)
    assert measured.conditions["searched"] == "capacity" and "load.users" not in measured.conditions


def test_a_search_without_a_step_is_damaged(tmp_path: Path) -> None:
    """One line, as for any file that is not what was written."""
    folder = searched(tmp_path)
    write_json(folder / "capacity.json", {**read_json(folder / "capacity.json"), "steps": []})
    with pytest.raises(RunError, match="a file is damaged: ValueError: no step was tried"):
        measures_of_search(folder)


def test_recordings_are_told_apart_by_what_is_in_them(tmp_path: Path) -> None:
    """Two checkouts have the same one in two places; another one may have the same name."""
    folder = judged(tmp_path)
    plan = read_json(folder.file("manifest.json"))["plan"]

    def recorded(path: str, digest: str) -> Mapping[str, Any]:
        load = {**plan["scenario"]["load"], "recording": path}
        manifest = read_json(folder.file("manifest.json"))
        return conditions_of(
            {**manifest, "plan": {**plan, "scenario": {**plan["scenario"], "load": load}, "recording": digest}}
        )

    assert recorded("/a/x.moments", "12ab") == recorded("/b/x.moments", "12ab") != recorded("/a/x.moments", "34cd")
