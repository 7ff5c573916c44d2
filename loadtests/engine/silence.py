"""Silences: when one may be held against the other side, and which are worth telling."""

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


class Attention:
    """Whether one has listened oneself."""

    def __init__(self) -> None:
        self._excused = False

    def fair(self, overslept: bool) -> bool:
        """Whether a silence counts at this look. Whoever slept over it hears first what there is.

        But not twice in a row: a process with too much to do is late at every look, and must find out all the same.
        """
        self._excused = overslept and not self._excused
        return not self._excused
