"""An ordinary locustfile; BENCH_CLIENT says whose FastHttpUser it uses."""

import os

from locust import constant_pacing, task

from benchmarks.locustfiles.mix import BODY, CREATE, LIST, TOKEN

if os.environ["BENCH_CLIENT"] == "loadtests":
    from loadtests.engine.http.user import FastHttpUser
else:
    from locust import FastHttpUser  # type: ignore[assignment]

HEADERS = {"Authorization": TOKEN}
CREATE_HEADERS = {**HEADERS, "Content-Type": "application/json"}


class Person(FastHttpUser):
    """Lists and creates, at once or at a pace."""

    if "BENCH_PACE" in os.environ:
        wait_time = constant_pacing(float(os.environ["BENCH_PACE"]))

    @task(3)
    def list_tasks(self) -> None:
        """The newest tasks."""
        self.client.get(LIST, headers=HEADERS, name="list_tasks")

    @task(1)
    def create_task(self) -> None:
        """One more."""
        self.client.post(CREATE, data=BODY, headers=CREATE_HEADERS, name="create_task")
