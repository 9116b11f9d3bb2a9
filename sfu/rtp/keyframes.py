"""When to ask a publisher for a key frame."""

FLOOR_S = 0.5
"""No more than one request in this time: key frames are large, and one serves everybody."""
SPACING_S = 0.35
"""Between the requests for two encodings of one publisher: of those that come within 0.3 s of each other, whichever
encoding they name, libwebrtc hears only the first (`EncoderRtcpFeedback`). One that it hears brings key frames in all
encodings, so that mostly no second one is needed."""
RETRY_S = 1.0
"""A request that no key frame followed is repeated after this (mediasoup's `KeyFrameRequestManager`)."""


class KeyFrameRequests:
    """The requests of all subscribers of one stream, made into as few to the publisher as do."""

    def __init__(self) -> None:
        self._wanted = False
        self._unanswered = False
        self._asked_at = float("-inf")

    def want(self) -> None:
        """Somebody needs a key frame that starts from now on."""
        self._wanted = True

    def came(self) -> None:
        """A key frame starts: it serves all who wanted one."""
        self._wanted = self._unanswered = False

    def due(self, now: float, last_arrival: float) -> bool:
        """Whether to ask now, which is then counted as done.

        A request within the floor waits for its end. An unanswered one is repeated only where packets came since:
        a publisher that sends nothing begins with a key frame by itself.
        """
        since = now - self._asked_at
        again = self._unanswered and since >= RETRY_S and last_arrival > self._asked_at
        if not again and not (self._wanted and since >= FLOOR_S):
            return False
        self._wanted, self._unanswered, self._asked_at = False, True, now
        return True
