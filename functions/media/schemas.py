"""What the endpoints about files answer; a file itself is `meet.web.files.MediaAnswer`."""

from pydantic import BaseModel

from meet.web.files import MediaAnswer


class MediaPage(BaseModel):
    """One page of files, newest first; `total` counts those of all pages."""

    media_files: list[MediaAnswer]
    page: int
    page_size: int
    total: int


class Filters(BaseModel):
    """What the list was filtered by, as it was asked for; "" where it wasn't."""

    file_type: str
    meeting_id: str
    user_id: str


class MediaListAnswer(BaseModel):
    """`offset` is how many files come before this page."""

    data: MediaPage
    filters: Filters
    message: str = "Media list retrieved successfully"
    offset: int


class DeletedAnswer(BaseModel):
    """The file that is no more."""

    message: str = "Media file deleted successfully"
    media_id: str
