"""What may be a name, a password, an avatar; what a user becomes when it is changed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from meet.domain.user import User, fold, normal_password, valid_avatar_url, valid_password, valid_username

NOW = datetime(2025, 10, 5, 12, tzinfo=UTC)
ALICE = User("id", "Alice", "a@example.com", "hash", created_at=NOW, updated_at=NOW)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("testuser", "testuser"),
        ("a.b_c-d", "a.b_c-d"),
        ("x" * 64, "x" * 64),
        ("Ｆｕｌｌ", "Full"),
        ("ﬁn", "fin"),  # two characters, three in NFKC
        ("हिन्दी", "हिन्दी"),
        ("李小龍", "李小龍"),
        ("007", "007"),
    ],
)
def test_a_username_is_stored_in_nfkc(text: str, stored: str) -> None:
    assert valid_username(text) == stored


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ab",
        "x" * 65,
        "﷽" * 64,
        ".dot",
        "-dash",
        "_low",
        "with space",
        "a@b.c",
        "semi;colon",
        "a\nb",
        "a\u200bb",
        "😀😀😀",
        "a/b",
    ],
)
def test_other_usernames_are_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"^Username "):
        valid_username(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Alice", "aLICE"), ("STRASSE", "straße"), ("Ｆｕｌｌ", "full"), ("Åse", "åSE"), ("ΣΑΣ", "σας")],
)
def test_names_that_look_alike_in_another_case_are_one(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize("name", ["ŉfoo", "ǰ́x", "ﬃ", "İstanbul"])
def test_folding_twice_changes_nothing(name: str) -> None:
    assert fold(fold(name)) == fold(name)


def test_passwords_are_bounded_and_the_same_on_every_keyboard() -> None:
    assert valid_password("12345678") == "12345678"
    assert valid_password("x" * 256) == "x" * 256
    assert valid_password("re\u0301sume\u0301s!") == "résumés!"
    with pytest.raises(ValueError, match="at least 8 characters"):
        valid_password("1234567")
    with pytest.raises(ValueError, match="at most 256 characters"):
        valid_password("x" * 257)


def test_a_short_password_may_be_compared_and_is_merely_wrong() -> None:
    assert normal_password("") == ""
    with pytest.raises(ValueError, match="at most 256 characters"):
        normal_password("x" * 257)


@pytest.mark.parametrize(
    "url",
    ["", "https://example.com/a.jpg", "HTTP://[::1]:8080/x?y=1#z", "https://example.com/" + "a" * 2028],
)
def test_avatars_are_urls(url: str) -> None:
    assert valid_avatar_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:image/png;base64,AA",
        "//example.com/a.jpg",
        "https://",
        "https:///a.jpg",
        "https://user:secret@example.com/",
        "https://example.com:port/",
        "https://example.com/a b",
        'https://example.com/"onerror=x',
        "https://exämple.com/",
        "https://example.com/\n",
        "https://[::1",
        "https://example.com/" + "a" * 2029,
    ],
)
def test_other_avatars_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"^Avatar URL "):
        valid_avatar_url(url)


def test_a_change_is_a_new_version() -> None:
    later = NOW + timedelta(minutes=1)
    changed = ALICE.updated(at=later, username="alice", avatar_url="https://example.com/a.jpg")
    assert changed == replace(
        ALICE, username="alice", avatar_url="https://example.com/a.jpg", updated_at=later, version=2
    )


def test_no_change_is_the_same_user() -> None:
    assert ALICE.updated(at=NOW, username="Alice", email=None) is ALICE


def test_a_new_password_is_a_new_epoch() -> None:
    changed = ALICE.updated(at=NOW, password_hash="other")
    assert (changed.password_hash, changed.password_epoch, changed.version) == ("other", 1, 2)
    assert changed.updated(at=NOW, username="bob").password_epoch == 1


def test_the_hash_is_in_no_repr() -> None:
    assert "hash" not in repr(ALICE)
