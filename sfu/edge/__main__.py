"""`python -m sfu.edge`: serve the public port until SIGTERM."""

from pathlib import Path

import uvicorn

from meet import logs
from meet.config import settings
from sfu.edge.app import create_edge
from sfu.edge.protocol import BoundedHttp
from sfu.edge.sockets import MOST_FRAME_BYTES
from sfu.redis import connect

PAGE = Path(__file__).resolve().parent.parent / "web" / "dist"


def main() -> None:
    """Run the edge as the settings say."""
    chosen = settings()
    logs.start(chosen.log_level, service="edge")
    redis = connect(chosen.redis_url)
    uvicorn.run(
        create_edge(chosen, page=PAGE, redis=redis),
        host=chosen.bind_host,
        port=chosen.port,
        log_config=None,
        access_log=False,  # the functions log what they answer
        server_header=False,
        proxy_headers=bool(chosen.trusted_proxies),
        forwarded_allow_ips=chosen.trusted_proxies or None,
        http=BoundedHttp,
        ws="websockets-sansio",
        ws_max_size=MOST_FRAME_BYTES,
        ws_ping_interval=None,  # the media process is the one that watches the heartbeat
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
