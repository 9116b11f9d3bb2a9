from sfu.sctp.outbound import Outbound
from sfu.sctp.queue import Queue
from sfu.sctp.reset import MAX_STREAMS_OF_ONE, Resets


class Asked(Queue):
    """Counts the questions."""

    def __init__(self) -> None:
        super().__init__()
        self.questions = 0

    def has(self, stream: int) -> bool:
        self.questions += 1
        return super().has(stream)


def test_a_request_looks_at_as_many_streams_as_it_names() -> None:
    resets, outbound = Resets(1, 1), Outbound(1, 1 << 20, gives_up=True)
    outbound.queue = queue = Asked()
    for stream in range(65536):  # by as many OPENs, none of which is granted
        resets.ask(stream)
    assert len(list(resets.chunks(outbound, 0.0))) == 1
    assert queue.questions == MAX_STREAMS_OF_ONE
