"""`multipart/form-data` (RFC 7578) as it arrives: one file, which is passed on, and short fields, which are kept.

Sans-I/O: `feed` takes pieces of the body as they come and gives the file's bytes to `file_data` at once, so the form
holds no more than its fields. What isn't a form, or is one that nobody would make, raises `Invalid`.
"""

from collections.abc import Callable
from typing import NoReturn

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from meet.errors import Invalid
from meet.web.errors import UnsupportedMediaType

FILE = "file"
"""The name of the field that the file is in."""
MOST_FIELDS = 20
MOST_FIELD_BYTES = 64 * 1024
MOST_HEADER_BYTES = 32 * 1024
"""Of a part's header, where the file's name is: one of 5000 characters is shortened, not refused."""


class UploadForm:
    """One form. `fields` are by name; `filename` is None until the file's part has begun.

    Raises `UnsupportedMediaType` where `content_type` is no form's.
    """

    def __init__(self, content_type: str, file_data: Callable[[memoryview], None]) -> None:
        kind, parameters = parse_options_header(content_type)
        if kind != b"multipart/form-data":
            raise UnsupportedMediaType("The request body must be multipart/form-data")
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self.ended = False
        """Whether the form is whole."""
        self._file_data = file_data
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._name = ""
        self._parts = 0
        try:
            self._parser = MultipartParser(
                parameters.get(b"boundary", b""),
                {
                    "on_part_begin": self._part_begin,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished,
                    "on_part_data": self._part_data,
                    "on_part_end": self._part_end,
                    "on_end": self._end,
                },
                max_header_size=MOST_HEADER_BYTES,
            )
        except FormParserError as error:
            _refuse(f"The form's boundary can't be used: {error}")
        if not parameters.get(b"boundary"):
            _refuse("The Content-Type names no boundary")

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the body."""
        try:
            self._parser.write(piece)
        except FormParserError as error:
            _refuse(f"The form can't be read: {error}")

    def close(self) -> None:
        """The body has ended: `Invalid` where the form has not, or had no file."""
        if not self.ended:
            _refuse("The form ends in the middle")
        if self.filename is None:
            raise Invalid(details={FILE: "Field required"})

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_FIELDS:
            _refuse(f"A form may have {MOST_FIELDS} fields")
        self._disposition = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        kind, parameters = parse_options_header(self._disposition)
        if kind != b"form-data" or b"name" not in parameters:
            _refuse("A part of the form has no name")
        self._name = parameters[b"name"].decode("utf-8", "replace")
        if self._name == FILE:
            if self.filename is not None:
                raise Invalid(details={FILE: "There must be one file"})
            self.filename = parameters.get(b"filename", b"").decode("utf-8", "replace")
        elif self._name in self.fields:
            raise Invalid(details={self._name[:100]: "It is there twice"})

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == FILE:
            self._file_data(memoryview(data)[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > MOST_FIELD_BYTES:
            raise Invalid(details={self._name[:100]: f"It may have {MOST_FIELD_BYTES} bytes"})

    def _part_end(self) -> None:
        if self._name == FILE:
            return
        try:
            text = self._value.decode()
        except UnicodeDecodeError:
            raise Invalid(details={self._name[:100]: "It is not valid UTF-8"}) from None
        if "\0" in text:
            raise Invalid(details={self._name[:100]: "It has a NUL character"})
        self.fields[self._name] = text
        self._value.clear()

    def _end(self) -> None:
        self.ended = True


def _refuse(why: str) -> NoReturn:
    raise Invalid(details={"body": why}) from None
