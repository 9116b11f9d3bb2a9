"""What the User Service reads and answers."""

from typing import Annotated

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, Field

from meet.clock import iso
from meet.domain.user import User, normal_password, valid_avatar_url, valid_password, valid_username
from meet.web.ice import IceServerAnswer

EMAIL_LENGTH = 254
"""RFC 5321 section 4.5.3.1.3 allows a path of 256 octets, which are the address and two angle brackets."""


def _valid_email(text: str) -> str:
    if len(text) <= EMAIL_LENGTH:
        try:
            # Nobody asks DNS; `test_environment` lets addresses of the reserved domain .test (RFC 6761) through.
            return validate_email(text, check_deliverability=False, test_environment=True).normalized
        except EmailNotValidError:
            pass
    raise ValueError("Invalid email format")


Username = Annotated[str, Field(examples=["testuser"]), AfterValidator(valid_username)]
Email = Annotated[str, Field(examples=["test@example.com"]), AfterValidator(_valid_email)]
NewPassword = Annotated[str, Field(examples=["SecurePass123!"]), AfterValidator(valid_password)]
Password = Annotated[str, Field(examples=["SecurePass123!"]), AfterValidator(normal_password)]
AvatarUrl = Annotated[str, Field(examples=["https://example.com/a.jpg"]), AfterValidator(valid_avatar_url)]


class RegisterBody(BaseModel):
    username: Username
    email: Email
    password: Annotated[NewPassword, Field(repr=False)]


class LoginBody(BaseModel):
    username: Annotated[str, Field(max_length=EMAIL_LENGTH, description="The username, or the email.")]
    password: Annotated[Password, Field(repr=False)]


class RefreshBody(BaseModel):
    refresh_token: Annotated[str | None, Field(repr=False)] = None


class UpdateBody(BaseModel):
    """What is absent or null stays as it is."""

    username: Username | None = None
    email: Email | None = None
    avatar_url: Annotated[AvatarUrl | None, Field(description='"" for none.')] = None
    password: Annotated[NewPassword | None, Field(repr=False)] = None
    current_password: Annotated[
        Password | None, Field(repr=False, description="Needed to change one's own email or password.")
    ] = None


class CsrfTokenAnswer(BaseModel):
    token: str
    expires_at: str


class RegisteredAnswer(BaseModel):
    user_id: str
    username: str
    email: str
    created_at: str

    @classmethod
    def of(cls, user: User) -> "RegisteredAnswer":
        """What is told of a new user."""
        return cls(user_id=user.user_id, username=user.username, email=user.email, created_at=iso(user.created_at))


class SignedInAnswer(BaseModel):
    access_token: str
    refresh_token: str
    expires_in: Annotated[int, Field(description="Seconds until `access_token` expires.")]
    token_type: str = "Bearer"  # noqa: S105 - the name of a scheme


class MessageAnswer(BaseModel):
    message: str


class TicketAnswer(BaseModel):
    """A ticket, and what its client needs to use it: joining over the socket takes a seat, too (decision 46)."""

    ticket: str
    expires_at: str
    expires_in: Annotated[int, Field(description="Seconds until `ticket` expires.")]
    signaling_url: str
    ice_servers: list[IceServerAnswer]


class ProfileAnswer(BaseModel):
    user_id: str
    username: str
    email: Annotated[str, Field(description='"" unless the caller is this user or an administrator.')]
    avatar_url: Annotated[str, Field(description='"" for none.')]
    role: str
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, user: User, *, private: bool) -> "ProfileAnswer":
        """A user's profile; `private` shows the email too."""
        return cls(
            user_id=user.user_id,
            username=user.username,
            email=user.email if private else "",
            avatar_url=user.avatar_url,
            role=user.role.value,
            created_at=iso(user.created_at),
            updated_at=iso(user.updated_at),
        )
