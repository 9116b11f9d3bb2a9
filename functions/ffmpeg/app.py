"""Jobs of FFmpeg: the function behind `/api/v1/ffmpeg`. The media function answers the service's health."""

from meet.web.app import create_app, lambda_handler

from . import jobs

app = create_app("media-service", jobs.router, is_front=False)
handler = lambda_handler(app)
