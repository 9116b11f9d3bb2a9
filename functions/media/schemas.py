"""What the endpoints about files read and answer; a file itself is `meet.web.files.MediaAnswer`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from meet.web.files import MediaAnswer
from meet.web.jobs import MediaId, OneFile, OutputAnswer, one_media_id

Operation = Literal["extract_audio", "extract_video", "generate_thumbnail", "compress", "convert_format"]
VideoFormat = Literal["mp4", "webm", "mkv", "avi", "mov", "flv"]
AudioFormat = Literal["mp3", "wav", "ogg", "flac", "aac", "m4a", "opus"]
PictureFormat = Literal["jpg", "png", "webp"]


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


def _each_once(operations: list[Operation]) -> list[Operation]:
    if len(set(operations)) < len(operations):
        raise ValueError("must name each operation once")
    return operations


class ProcessBody(OneFile):
    """A file, and what is to be made of it: a file for each operation."""

    media_id: MediaId = one_media_id("media_id")
    operations: Annotated[list[Operation], Field(min_length=1), AfterValidator(_each_once)]
    output_format: Literal[VideoFormat, AudioFormat, PictureFormat] | None = None
    """For those of the operations that can make it; the others make what they make unasked."""
    quality: Literal["low", "medium", "high"] | None = None


class ProcessAnswer(BaseModel):
    """The job that was begun. `estimated_time` is in seconds, `outputs` in the order of the operations."""

    job_id: str
    status: str = "processing"
    estimated_time: int
    created_at: str
    status_url: str
    input_media_id: str
    output_media_id: str
    outputs: list[OutputAnswer]
    message: str = "Processing started"
