"""Bodies of requests, made and encoded before the load starts: Faker costs tens of microseconds a call, sending none."""

import json
from collections.abc import Sequence
from hashlib import blake2b

from faker import Faker

OUTPUT_TYPES = ("docs", "sheets", "slides", "research")
POOL_SIZE = 500
PROMPT_MAX = 5000


def task_payloads(seed: int, size: int = POOL_SIZE) -> tuple[bytes, ...]:
    """`size` task-creation bodies, the same for the same seed: a prompt of one to six sentences and an output type."""
    fake = Faker("en_US")
    fake.seed_instance(seed)
    return tuple(_payload(fake) for _ in range(size))


def _payload(fake: Faker) -> bytes:
    kind = fake.random_element(OUTPUT_TYPES)
    wish = {"docs": "Write a document", "sheets": "Make a table", "slides": "Prepare slides", "research": "Find out"}[kind]
    text = f"{wish} about {fake.bs()} for {fake.company()}. {fake.paragraph(nb_sentences=fake.random_int(1, 5))}"
    body = {"prompt": text[:PROMPT_MAX], "output_type": kind, "metadata": {"department": fake.job()}}
    return json.dumps(body, separators=(",", ":")).encode()


def payload_digest(payloads: Sequence[bytes]) -> bytes:
    """Hash of a pool, so that the hash of a stream covers what it would send."""
    digest = blake2b(digest_size=16)
    for body in payloads:
        digest.update(len(body).to_bytes(4))
        digest.update(body)
    return digest.digest()
