"""What a task's work is: here, a simulation of it that takes time and sometimes fails."""

import asyncio

from app.repositories.work import Claim, Ending, Fate
from app.settings import WorkerSettings
from app.workers.duration import duration_s, fails, stumbles


class TransientError(Exception):
    """The attempt failed, and another one may not."""


async def perform(settings: WorkerSettings, claim: Claim) -> Ending:
    """Work the task as long as its id says.

    Raises:
        TransientError: this attempt came to nothing.
    """
    seed, task_id = settings.task_duration_seed, claim.task_id
    pause_s = duration_s(seed, task_id, settings.task_duration_mean_s) * settings.fault_slow_worker
    if pause_s:
        await asyncio.sleep(pause_s)
    if stumbles(seed, task_id, claim.attempt, settings.task_transient_ratio):
        raise TransientError("simulated trouble")
    if fails(seed, task_id, settings.task_failure_ratio):
        return Ending(claim, Fate.FAILED, error="simulated failure")
    kind = claim.output_type
    return Ending(
        claim,
        Fate.COMPLETED,
        result=f"{kind} for a prompt of {claim.prompt_length} characters",
        document_url=f"https://documents.agenthq.invalid/{kind}/{task_id}",
    )
