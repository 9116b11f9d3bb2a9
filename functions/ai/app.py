"""The AI service: the function behind `/api/v1/ai`."""

from meet.web.app import create_app, lambda_handler

app = create_app("ai-service")
handler = lambda_handler(app)
