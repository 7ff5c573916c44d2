"""Which users each worker plays, and from when on, where others take over those of a worker that was lost."""

from collections.abc import Mapping, Sequence

from loadtests.pacing.shard import shard


class Holdings:
    """The users of each worker. Whoever replays the same losses comes to the same holdings, so nobody need write them down."""

    def __init__(self, users: int, workers: int) -> None:
        self._of = {worker: dict.fromkeys(shard(users, worker, workers), 0.0) for worker in range(workers)}

    def of(self, worker: int) -> Mapping[int, float]:
        """The worker's users, and since which second of the load it has them; those of a lost one are what it had."""
        return self._of[worker]

    def hand_over(self, lost: int, heirs: Sequence[int], from_s: float) -> dict[int, list[int]]:
        """Give the users of `lost` to the heirs in turn, from `from_s` on; what each of them gets, differing by one at most."""
        users, order = sorted(self._of[lost]), sorted(heirs)
        shares = {heir: users[place :: len(order)] for place, heir in enumerate(order)}
        for heir, share in shares.items():
            self._of[heir].update(dict.fromkeys(share, from_s))
        return shares
