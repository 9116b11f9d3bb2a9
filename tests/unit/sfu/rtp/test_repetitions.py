from sfu.rtp.repetitions import BURST, LOOK_COST, Repetitions


def test_a_packet_is_not_repeated_while_it_is_on_its_way():
    books = Repetitions()
    assert not books.needless(5, 1.0, None)
    books.repeated(5, 1.0)
    assert books.needless(5, 1.009, None)
    assert not books.needless(5, 1.011, None)
    assert books.needless(5, 1.049, 0.1)
    assert not books.needless(5, 1.051, 0.1)
    assert not books.needless(6, 1.0, 0.1)


def test_what_is_of_no_use_any_more_is_not_repeated():
    books = Repetitions()
    books.since = 6
    assert books.needless(5, 1.0, None)
    assert not books.needless(6, 1.0, None)


def test_what_came_late_is_on_its_way_too_and_costs_nothing():
    books = Repetitions()
    for index in range(2 * BURST):
        books.came_late(index, 1.0)
    assert books.needless(7, 1.001, None)
    assert books.affordable


def test_a_burst_may_be_repeated_and_then_half_of_what_is_sent():
    books = Repetitions()
    for index in range(BURST):
        assert books.affordable
        books.repeated(index, 1.0)
    assert not books.affordable
    books.earn(1)
    assert not books.affordable
    books.earn(2)
    assert books.affordable
    books.earn(10 * BURST)
    for index in range(BURST):
        books.repeated(index, 2.0)
    assert not books.affordable


def test_asking_for_what_is_not_there_costs_a_little():
    books = Repetitions()
    looks = 0
    while books.affordable:
        books.in_vain()
        looks += 1
    assert 0.9 * BURST / LOOK_COST < looks <= BURST / LOOK_COST


def test_a_bounded_number_of_packets_is_remembered_the_newest():
    books = Repetitions()
    for index in range(4 * BURST):
        books.came_late(index, 1.0)
        books.came_late(0, 1.0)
    assert books.needless(0, 1.0, None)
    assert books.needless(4 * BURST - 1, 1.0, None)
    assert not books.needless(1, 1.0, None)
