"""Users and their unique names: registered, found, renamed, the first administrator."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from meet import passwords
from meet.clock import new_id
from meet.config import settings
from meet.domain.user import Role, User
from meet.errors import Conflict, NotFound, Unavailable
from meet.store import users

pytestmark = pytest.mark.usefixtures("tables")

NOW = datetime(2025, 10, 5, 12, 0, 0, 123456, tzinfo=UTC)


def user(name: str = "alice", email: str | None = None) -> User:
    email = f"{name}@example.com" if email is None else email
    return User(new_id(), name, email, "hash", created_at=NOW, updated_at=NOW)


def rename(name: str) -> Callable[[User], User]:
    return lambda before: before.updated(at=NOW, username=name)


def test_a_user_comes_back_as_it_went_in() -> None:
    alice = replace(user(), avatar_url="https://example.com/a.jpg", role=Role.ADMINISTRATOR, password_epoch=3)
    users.add(alice)
    assert users.get(alice.user_id) == alice
    assert users.get(new_id()) is None


def test_a_user_is_found_by_name_or_email_in_any_case() -> None:
    alice = user("Alice")
    users.add(alice)
    for login in ("Alice", "aLICE", "Ａlice", "alice@EXAMPLE.com"):
        assert users.find(login) == alice
    for login in ("", "bob", "bob@example.com", "x" * 10_000, "#", "user#alice"):
        assert users.find(login) is None


def test_a_taken_name_is_said_in_the_documents_words() -> None:
    users.add(user("alice", "test@example.com"))
    with pytest.raises(Conflict, match=r"^User with email 'Test@example.com' already exists$"):
        users.add(user("bob", "Test@example.com"))
    with pytest.raises(Conflict, match=r"^User with username 'ALICE' already exists$"):
        users.add(user("ALICE"))
    assert users.find("bob") is None
    users.add(user("bob"))


def test_a_rename_frees_the_old_name_and_keeps_the_rest() -> None:
    alice = user("alice")
    users.add(alice)
    renamed = users.update(alice.user_id, rename("carol"))
    assert users.get(alice.user_id) == renamed == replace(alice, username="carol", version=2)
    assert users.find("alice") is None
    assert users.find("carol") == users.find("alice@example.com") == renamed
    users.add(user("alice", "other@example.com"))


def test_a_rename_in_another_case_keeps_the_name() -> None:
    alice = user("alice")
    users.add(alice)
    assert users.update(alice.user_id, rename("ALICE")).username == "ALICE"
    with pytest.raises(Conflict):
        users.add(user("Alice", "other@example.com"))


def test_a_rename_to_a_taken_name_changes_nothing() -> None:
    alice = user("alice")
    users.add(alice)
    users.add(user("bob"))
    with pytest.raises(Conflict, match="username 'Bob'"):
        users.update(alice.user_id, lambda old: old.updated(at=NOW, username="Bob", email="new@example.com"))
    assert users.get(alice.user_id) == alice
    assert users.find("new@example.com") is None


def test_an_update_of_nobody_is_not_found() -> None:
    with pytest.raises(NotFound):
        users.update(new_id(), rename("bob"))


def test_a_write_in_between_is_seen_by_the_next_round() -> None:
    alice = user("alice")
    users.add(alice)
    seen: list[int] = []

    def change(before: User) -> User:
        seen.append(before.version)
        if len(seen) == 1:
            users.update(alice.user_id, lambda old: old.updated(at=NOW, avatar_url="https://example.com/a.jpg"))
        return before.updated(at=NOW, username="carol")

    after = users.update(alice.user_id, change)
    assert seen == [1, 2]
    assert (after.username, after.avatar_url, after.version) == ("carol", "https://example.com/a.jpg", 3)
    assert users.find("carol") == after


def test_writers_without_end_are_unavailable() -> None:
    alice = user("alice")
    users.add(alice)

    def outrun(before: User) -> User:
        users.update(alice.user_id, lambda old: old.updated(at=NOW, avatar_url=f"https://e.com/{old.version}"))
        return before.updated(at=NOW, username="carol")

    with pytest.raises(Unavailable):
        users.update(alice.user_id, outrun)
    assert users.find("carol") is None


def test_a_rehash_is_no_new_version_and_never_undoes_a_new_password() -> None:
    alice = user("alice")
    users.add(alice)
    users.store_rehashed(alice, "better")
    assert users.get(alice.user_id) == replace(alice, password_hash="better")
    changed = users.update(alice.user_id, lambda old: old.updated(at=NOW, password_hash="new"))
    users.store_rehashed(replace(alice, password_hash="better"), "late")
    assert users.get(alice.user_id) == changed


def configure(monkeypatch: pytest.MonkeyPatch, name: str, password: str) -> None:
    monkeypatch.setenv("MEET_ADMIN_USERNAME", name)
    monkeypatch.setenv("MEET_ADMIN_PASSWORD", password)
    settings.cache_clear()


def test_the_first_administrator_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, "root", "first password")
    made = users.ensure_administrator()
    assert made is not None
    assert made.role is Role.ADMINISTRATOR
    assert passwords.matches("first password", made.password_hash)
    configure(monkeypatch, "Root", "second password")
    assert users.ensure_administrator() == made == users.find("root")


def test_no_name_makes_no_administrator(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, "", "")
    assert users.ensure_administrator() is None


def test_two_at_once_make_one_administrator(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, "root", "first password")
    first = users.ensure_administrator()
    found = [None, first]  # the second looked before the first had written
    monkeypatch.setattr(users, "find", lambda login: found.pop(0))
    assert users.ensure_administrator() == first


@pytest.mark.parametrize(
    ("name", "password", "sentence"),
    [("root", "", "no default password"), ("root", "short", "at least 8"), ("r", "long enough", "3 to 64")],
)
def test_a_bad_configuration_is_one_sentence(
    name: str, password: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, name, password)
    with pytest.raises(ValueError, match=sentence):
        users.ensure_administrator()


def test_who_registered_the_name_first_is_not_promoted(monkeypatch: pytest.MonkeyPatch) -> None:
    users.add(user("root"))
    configure(monkeypatch, "root", "first password")
    with pytest.raises(ValueError, match="ordinary user"):
        users.ensure_administrator()


def test_a_row_keeps_its_secrets_to_itself() -> None:
    assert "hash" not in repr(users._row(user()))
