"""The errors that callers may see. Each says whose fault it is; `meet.web.errors` turns them into answers."""

from collections.abc import Mapping

Details = Mapping[str, str] | str | None


class MeetError(Exception):
    """An error with a documented code and an HTTP status.

    `details` is a mapping of field to message for validation and a sentence otherwise. `retry_after_s` becomes
    `retry_after` in the body and the `Retry-After` header. `headers` are added to the answer as they are.
    """

    def __init__(
        self,
        code: str,
        status: int,
        message: str,
        *,
        details: Details = None,
        retry_after_s: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.details = details
        self.retry_after_s = retry_after_s
        self.headers = dict(headers or {})


class Invalid(MeetError):
    """400: the caller's input is malformed; `details` names the fields."""

    def __init__(self, message: str = "Invalid request parameters", details: Details = None) -> None:
        super().__init__("VALIDATION_ERROR", 400, message, details=details)


class MissingToken(MeetError):
    """401: no credential was sent."""

    def __init__(self) -> None:
        super().__init__(
            "MISSING_TOKEN", 401, "Authorization token is required", headers={"WWW-Authenticate": "Bearer"}
        )


class InvalidToken(MeetError):
    """401: the credential is malformed, expired or revoked."""

    def __init__(self, message: str = "Invalid or expired authentication token") -> None:
        super().__init__("INVALID_TOKEN", 401, message, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


class InvalidCredentials(MeetError):
    """401: the username and the password don't belong together; which of them is wrong isn't told."""

    def __init__(self) -> None:
        super().__init__(
            "INVALID_CREDENTIALS", 401, "Invalid username or password", headers={"WWW-Authenticate": "Bearer"}
        )


class Forbidden(MeetError):
    """403: the caller is known and may not do this."""

    def __init__(self, message: str = "You do not have permission to access this resource") -> None:
        super().__init__("INSUFFICIENT_PERMISSIONS", 403, message)


class NotFound(MeetError):
    """404: it does not exist, or the caller may not know that it does."""

    def __init__(self, message: str = "Resource not found") -> None:
        super().__init__("RESOURCE_NOT_FOUND", 404, message)


class Conflict(MeetError):
    """409: it exists already, or its state does not allow this now."""

    def __init__(self, message: str, code: str = "RESOURCE_CONFLICT", *, details: Details = None) -> None:
        super().__init__(code, 409, message, details=details)


class Unavailable(MeetError):
    """503: something this request needs is away for now; nothing was changed."""

    def __init__(
        self,
        message: str = "Service is temporarily unavailable. Please try again later.",
        retry_after_s: int | None = 1,
    ) -> None:
        super().__init__("SERVICE_UNAVAILABLE", 503, message, retry_after_s=retry_after_s)
