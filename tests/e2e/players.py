"""hls.js and dash.js as they were published, on a page of another origin than the system's."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.conftest import ROOT

PACKAGES = ROOT / ".venvs" / "npm"
PAGE = Path(__file__).parent / "players.html"


@contextmanager
def player_page(browser: Browser) -> Iterator[Page]:
    """A page with `playHls(url)` and `playDash(url)`, whose videos are `hls` and `dash`."""

    class Handler(SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            return str(PAGE) if path == "/" else super().translate_path(path)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(PACKAGES))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        context = browser.new_context()
        try:
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{server.server_port}/")
            page.wait_for_function("!!(window.Hls && window.dashjs && window.playDash)")
            yield page
        finally:
            context.close()
            server.shutdown()
