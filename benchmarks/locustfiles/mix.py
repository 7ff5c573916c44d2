"""The mix of all benchmarks: three lists to one creation, with a bearer token."""

import os

TOKEN = "Bearer " + "x" * 180
LIST = "/api/v1/tasks?page=1&page_size=20"
CREATE = "/api/v1/tasks"
BODY = b'{"prompt":"Write a document about seamless networks for a company of three.","output_type":"docs"}'
SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
