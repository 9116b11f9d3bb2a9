from sfu.outlets.restarts import Restarts


def test_so_many_in_a_minute_and_no_more() -> None:
    restarts = Restarts(most=3, within_s=60)
    assert [restarts.may(now) for now in (0.0, 1.0, 2.0, 3.0)] == [True, True, True, False]
    assert not restarts.may(59.0)
    assert restarts.may(70.0)


def test_deaths_that_are_far_apart_are_borne_for_ever() -> None:
    restarts = Restarts(most=3, within_s=60)
    assert all(restarts.may(21.0 * death) for death in range(100))
