"""What leaves a room: the function behind `/api/v1/recording` and `/api/v1/streaming`. Its bytes are the edge's."""

from meet.web.app import create_app, lambda_handler
from meet.web.health import area_router

from . import recordings, streams

app = create_app(
    "media-service",
    area_router("/api/v1/recording", recordings.health, ["media-service"]),
    area_router("/api/v1/streaming", streams.health, ["media-service"]),
    recordings.router,
    streams.router,
    is_front=False,
)
handler = lambda_handler(app)
