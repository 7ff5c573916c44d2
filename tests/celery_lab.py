"""A Celery application for tests of queues, run by the stack's own environment.

`python -m tests.celery_lab PRIORITY [TIMESTAMP]` publishes one task; `celery -A tests.celery_lab worker` works them.
"""

import os
import sys
import time
from pathlib import Path

from celery import Celery  # type: ignore[import-not-found,unused-ignore]  # only the stack's environment has it

app = Celery("lab", broker=os.environ["LAB_BROKER"])
app.conf.update(task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=1)


@app.task(name="hold")  # type: ignore[untyped-decorator,unused-ignore]  # as above
def hold() -> None:
    """Work until the file is there."""
    while not Path(os.environ["LAB_OPEN"]).exists():
        time.sleep(0.05)


if __name__ == "__main__":
    options: dict[str, int] = {"priority": int(sys.argv[1])}
    if len(sys.argv) > 2:
        options["timestamp"] = int(sys.argv[2])
    app.send_task("hold", **options)
