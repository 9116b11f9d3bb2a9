"""`/api/v1/media/process`: several things made of one file, in one job."""

from fastapi import APIRouter

from meet import orders
from meet.clock import iso
from meet.domain.formats import AUDIO_FORMATS, FORMATS, PICTURE_FORMATS, VIDEO_FORMATS
from meet.domain.job import JobKind
from meet.domain.media import FileType, MediaFile
from meet.errors import Invalid
from meet.orders import Order
from meet.web.auth import SignedIn
from meet.web.files import PREFIX
from meet.web.jobs import OutputAnswer, begin, input_file, status_url

from .schemas import Operation, ProcessAnswer, ProcessBody

router = APIRouter(prefix=PREFIX, tags=["media"])


@router.post("/process")
def process(asked: ProcessBody, user: SignedIn) -> ProcessAnswer:
    """Carry out operations on a file; each makes a file of its own."""
    file = input_file(user, asked.media_id)
    wished = asked.output_format
    if wished and not any(wished in formats_of(operation, file) for operation in asked.operations):
        raise Invalid(details={"output_format": f"None of the operations makes {wished} of this {file.file_type}"})
    job = begin(
        user,
        JobKind.PROCESS,
        [file],
        [order_of(operation, file, wished, asked.quality) for operation in asked.operations],
    )
    return ProcessAnswer(
        job_id=job.job_id,
        estimated_time=job.estimated_s,
        created_at=iso(job.created_at),
        status_url=status_url(job),
        input_media_id=file.media_id,
        output_media_id=job.steps[0].media_id,
        outputs=OutputAnswer.all_of(job),
    )


def formats_of(operation: Operation, file: MediaFile) -> tuple[str, ...]:
    """The formats that an operation may be asked for. What is compressed stays video, or sound."""
    match operation:
        case "extract_audio":
            return AUDIO_FORMATS
        case "extract_video":
            return ()
        case "generate_thumbnail":
            return tuple(PICTURE_FORMATS)
        case "compress":
            return VIDEO_FORMATS if file.file_type is FileType.VIDEO else AUDIO_FORMATS
        case "convert_format":
            return tuple(FORMATS)


def order_of(operation: Operation, file: MediaFile, wished: str | None, quality: str | None) -> Order:
    """An operation as an order, with the wished-for format where it can make that. Raises `Invalid`."""
    output_format = wished if wished in formats_of(operation, file) else None
    match operation:
        case "extract_audio":
            return orders.extract_audio(file, output_format, quality=quality, field="media_id")
        case "extract_video":
            return orders.extract_video(file)
        case "generate_thumbnail":
            return orders.thumbnail(file, output_format)
        case "compress":
            return orders.compress(file, output_format, quality)
        case "convert_format":
            if output_format is None:
                raise Invalid(details={"output_format": f"convert_format needs one of {', '.join(FORMATS)}"})
            return orders.convert(file, output_format, quality)
