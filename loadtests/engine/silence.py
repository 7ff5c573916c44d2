"""A worker's silences, as far as they are worth telling."""

NOTICED_S = 3.0
"""Longer ones are; workers say something every second."""


class Silence:
    """What is known of one worker's silences."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """Of one that goes on, if it is worth telling."""

    def now(self, silent_s: float) -> float | None:
        """It has said nothing for so long; how long a silence worth telling was that has ended meanwhile."""
        if silent_s > NOTICED_S:
            self.seconds = silent_s
            return None
        was_s, self.seconds = self.seconds, 0.0
        return was_s or None
