"""A clock for tests of waiting."""

from access.polling import Clock


class FakeTime:
    """A clock that only a pause moves, `speed` times as far as it says: a wait that fails then takes fewer attempts."""

    def __init__(self, speed: float = 1) -> None:
        self.seconds, self.speed = 0.0, speed

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: self.seconds, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.seconds += seconds * self.speed
