"""The Meeting Service: meetings, and the seats in them."""

from meet.web.app import create_app, lambda_handler

from . import meetings

app = create_app("meeting-service", meetings.router)
handler = lambda_handler(app)
