from sfu.sctp.congestion import INITIAL_WINDOW, MAX_WINDOW, RTO_INITIAL_S, RTO_MAX_S, RTO_MIN_S, Congestion
from sfu.sctp.packet import MAX_PACKET


def test_the_window_grows_fast_then_slowly_and_halves_once_for_what_is_lost_together() -> None:
    congestion = Congestion()
    for cumulative in range(10):
        congestion.acknowledged(cumulative, 5 * MAX_PACKET)
    assert congestion.window == INITIAL_WINDOW + 10 * MAX_PACKET
    congestion.missed(last_tsn=50)
    congestion.missed(last_tsn=60)
    halved = (INITIAL_WINDOW + 10 * MAX_PACKET) // 2
    assert congestion.window == halved
    congestion.acknowledged(49, 10_000)  # what was on its way when it was lost
    assert congestion.window == halved
    congestion.acknowledged(50, 10_000)
    congestion.acknowledged(51, 10)
    assert congestion.window == halved + 10  # at the threshold still
    congestion.acknowledged(52, halved + 10)
    assert congestion.window == halved + 10 + MAX_PACKET


def test_the_window_has_an_end() -> None:
    congestion = Congestion()
    for cumulative in range(3000):
        congestion.acknowledged(cumulative, 10 * MAX_PACKET)
    assert congestion.window == MAX_WINDOW


def test_the_timeout_follows_what_is_measured_and_doubles_where_nothing_comes() -> None:
    congestion = Congestion()
    assert congestion.rto_s == RTO_INITIAL_S
    congestion.measured(0.3)
    assert congestion.rto_s == 0.3 + 4 * 0.15
    for _ in range(100):
        congestion.measured(0.01)
    assert congestion.rto_s == RTO_MIN_S
    congestion.timed_out()
    assert (congestion.rto_s, congestion.window, congestion.timeouts) == (2 * RTO_MIN_S, MAX_PACKET, 1)
    for _ in range(9):
        congestion.timed_out()
    assert congestion.rto_s == RTO_MAX_S
