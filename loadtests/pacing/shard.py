"""Which users a worker plays. Together the shards hold every user once, whatever the number of workers."""


def shard(users: int, index: int, workers: int) -> range:
    """Users of worker `index` of `workers`: every `workers`-th, so that shards differ by at most one user."""
    if not 0 <= index < workers:
        raise ValueError(f"worker {index} of {workers} does not exist")
    return range(index, users, workers)
