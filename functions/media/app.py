"""Files, recordings' files and media jobs: the function behind `/api/v1/media`."""

from meet.web.app import create_app, lambda_handler

from . import files, process

app = create_app("media-service", files.router, process.router)
handler = lambda_handler(app)
