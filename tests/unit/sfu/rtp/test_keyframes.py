from sfu.rtp.keyframes import FLOOR_S, RETRY_S, KeyFrameRequests


def test_a_request_goes_out_at_once():
    requests = KeyFrameRequests()
    assert not requests.due(5.0, 5.0)
    requests.want()
    assert requests.due(5.0, 5.0)
    assert not requests.due(5.0, 5.0)


def test_a_request_within_the_floor_waits_for_its_end():
    requests = KeyFrameRequests()
    requests.want()
    requests.due(5.0, 5.0)
    requests.came()
    requests.want()
    assert not requests.due(5.0 + FLOOR_S / 2, 5.2)
    assert requests.due(5.0 + FLOOR_S, 5.4)


def test_a_key_frame_serves_those_who_waited():
    requests = KeyFrameRequests()
    requests.want()
    requests.due(5.0, 5.0)
    requests.want()
    requests.came()
    assert not requests.due(100.0, 100.0)


def test_an_unanswered_request_is_repeated_while_packets_come():
    requests = KeyFrameRequests()
    requests.want()
    requests.due(5.0, 5.0)
    assert not requests.due(5.0 + RETRY_S, 5.0), "nothing came since: it will begin with a key frame"
    assert not requests.due(5.9, 5.8)
    assert requests.due(5.0 + RETRY_S, 5.9)
    assert not requests.due(5.0 + RETRY_S + 0.5, 6.4)
