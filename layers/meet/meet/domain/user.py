"""Who uses the system: what a name may look like, and what a user becomes when it is changed."""

import unicodedata
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

USERNAME_LENGTH = range(3, 65)
PASSWORD_LENGTH = range(8, 257)
"""In characters; the upper bound keeps what is hashed below 1 KiB."""
AVATAR_URL_LENGTH = 2048


class Role(StrEnum):
    """What a user may do beyond their own things."""

    USER = "user"
    ADMINISTRATOR = "admin"


def fold(name: str) -> str:
    """The form under which a username or an email is unique: compatible forms and cases are one (Unicode D145)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def valid_username(text: str) -> str:
    """The username as it is stored (NFKC); `ValueError` with a plain sentence where it isn't one.

    3 to 64 characters: letters and digits of any script, and `.`, `_`, `-` after the first.
    """
    name = unicodedata.normalize("NFKC", text)
    if len(name) not in USERNAME_LENGTH:
        raise ValueError(f"Username must be {USERNAME_LENGTH[0]} to {USERNAME_LENGTH[-1]} characters long")
    if not name[0].isalnum():
        raise ValueError("Username must start with a letter or a digit")
    if not all(character in "._-" or _is_word(character) for character in name):
        raise ValueError("Username may contain letters, digits, '.', '_' and '-' only")
    return name


def _is_word(character: str) -> bool:
    """A letter, a decimal digit, or a mark that a letter needs in its script, such as a vowel of Devanagari."""
    category = unicodedata.category(character)
    return category[0] in "LM" or category == "Nd"


def valid_password(text: str) -> str:
    """The password as it is hashed: in NFC, so that every keyboard types the same one (RFC 8265 section 4.2)."""
    if len(text) < PASSWORD_LENGTH[0]:
        raise ValueError(f"Password must be at least {PASSWORD_LENGTH[0]} characters")
    return normal_password(text)


def normal_password(text: str) -> str:
    """A password to be compared: like `valid_password`, and any that is too short is merely a wrong one."""
    if len(text) > PASSWORD_LENGTH[-1]:
        raise ValueError(f"Password must be at most {PASSWORD_LENGTH[-1]} characters")
    return unicodedata.normalize("NFC", text)


def valid_avatar_url(text: str) -> str:
    """An http or https URL of at most 2048 characters, or "" for none; `ValueError` otherwise."""
    if not text:
        return ""
    if len(text) > AVATAR_URL_LENGTH:
        raise ValueError(f"Avatar URL must be at most {AVATAR_URL_LENGTH} characters")
    refused = ValueError("Avatar URL must be an http or https URL")
    if not text.isascii() or not text.isprintable() or any(character in ' "<>\\^`{|}' for character in text):
        raise refused  # RFC 3986 appendix A has none of these
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises where it isn't a number
    except ValueError:
        raise refused from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise refused
    return text


@dataclass(frozen=True, slots=True)
class User:
    """A user as it is stored. `version` grows by one with every change that others can see."""

    user_id: str
    username: str
    email: str
    """Empty for an administrator made by configuration who gave none."""
    password_hash: str = field(repr=False)
    created_at: datetime
    updated_at: datetime
    role: Role = Role.USER
    avatar_url: str = ""
    password_epoch: int = 0
    """Grows with every new password: a sign-in of an earlier epoch can't be refreshed."""
    version: int = 1

    def updated(
        self,
        *,
        at: datetime,
        username: str | None = None,
        email: str | None = None,
        avatar_url: str | None = None,
        password_hash: str | None = None,
    ) -> "User":
        """The user with what isn't None replaced; the same user where nothing differs."""
        wanted = {"username": username, "email": email, "avatar_url": avatar_url, "password_hash": password_hash}
        changes: dict[str, Any] = {
            name: value for name, value in wanted.items() if value is not None and value != getattr(self, name)
        }
        if not changes:
            return self
        epoch = self.password_epoch + ("password_hash" in changes)
        return replace(self, **changes, password_epoch=epoch, updated_at=at, version=self.version + 1)
