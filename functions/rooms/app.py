"""What the long-lived tier says of itself, over REST: sessions, messages, statistics, peers."""

from meet.web.app import create_app, lambda_handler

from . import admin, messages, sessions, stats, webrtc

app = create_app("signaling-service", sessions.router, messages.router, stats.router, webrtc.router, admin.router)
handler = lambda_handler(app)
