"""The User Service: accounts, signing in, profiles."""

from meet.web.app import create_app, lambda_handler

from . import auth, users

app = create_app("user-service", auth.router, users.router)
handler = lambda_handler(app)
