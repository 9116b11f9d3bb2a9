"""Files, recordings' files and media jobs: the function behind `/api/v1/media`."""

from meet.web.app import create_app, lambda_handler

app = create_app("media-service")
handler = lambda_handler(app)
