"""A load whose time runs faster, or slower: the same turns, closer together."""

from typing import Any

from loadtests.scenario.schema import Load, Scenario, Stage


def at_speed(scenario: Scenario, speed: float) -> Scenario:
    """The scenario with its load `speed` times as fast: durations and the faults' moments divided by it, rates multiplied.

    What belongs to the target stays: its timeout, the drain, tokens' lives, how long a fault lasts; and so do an objective's
    grace and window. A recording keeps its moments; who plays it divides them by `load.speed`.
    """
    load = _faster(scenario.load, speed).model_copy(update={"speed": speed})
    faults = tuple(fault.model_copy(update={"at": fault.at / speed}) for fault in scenario.faults)
    return scenario.model_copy(update={"load": load, "faults": faults})


def _faster(load: Load, speed: float) -> Load:
    changes: dict[str, Any] = {"rate_per_user": load.rate_per_user * speed, "ramp_up": load.ramp_up / speed}
    if load.duration is not None:
        changes["duration"] = load.duration / speed
    if load.stages:
        changes["stages"] = tuple(_shorter(stage, speed) for stage in load.stages)
    if load.think_time is not None:
        changes["think_time"] = (load.think_time[0] / speed, load.think_time[1] / speed)
    return load.model_copy(update=changes)


def _shorter(stage: Stage, speed: float) -> Stage:
    changes: dict[str, Any] = {"duration": stage.duration / speed}
    if stage.wave is not None:
        changes["wave"] = stage.wave.model_copy(update={"period": stage.wave.period / speed})
    return stage.model_copy(update=changes)
