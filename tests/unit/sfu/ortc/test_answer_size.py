from sfu.ortc.answer_size import ANSWER_CHARACTERS, AnswerSize

HEAD = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n"


def section(kind: str, characters: int) -> str:
    """With one line end, which JSON writes as four characters."""
    start = f"m={kind} 9 "
    return start + "x" * (characters - len(start) - 4) + "\r\n"


def test_the_first_guess_holds_until_an_answer_came() -> None:
    assert AnswerSize().room("audio", []) == 75
    assert AnswerSize().room("video", ["audio"] * 15) == 40


def test_the_largest_section_of_a_kind_is_what_counts() -> None:
    size = AnswerSize()
    answer = HEAD + section("audio", 400) + section("audio", 600) + section("video", 1_000)
    size.learn(answer, ["audio", "audio", "video"])
    assert size.room("audio", []) == 100
    assert size.room("audio", ["video"] * 30) == 50
    assert size.room("video", ["audio"] * 50) == 30


def test_videos_keep_their_room() -> None:
    size = AnswerSize(reserved_videos=20)
    size.learn(HEAD + section("audio", 500) + section("video", 1_000), ["audio", "video"])
    assert size.room("audio", ["video"]) == 80
    assert size.room("audio", ["video"] * 30) == 60
    assert size.room("video", ["audio"] * 80) == 20


def test_there_is_never_less_than_no_room() -> None:
    size = AnswerSize()
    size.learn(HEAD + section("video", ANSWER_CHARACTERS), ["video"])
    assert size.room("audio", ["video"] * 2) == 0


def test_an_answer_of_any_shape_is_measured() -> None:
    size = AnswerSize()
    size.learn("", ["audio"])
    size.learn("m=", ["audio"])
    assert size.room("audio", []) > 0
    size.learn(HEAD + section("audio", 500), [])
    assert size.room("video", []) == 50
