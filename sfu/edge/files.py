"""The routes by which the bytes of files come and go; all that is known of files beside them is the functions'."""

from redis.asyncio import Redis
from starlette.routing import Route

from meet.config import Settings
from sfu.edge import thumbnails
from sfu.edge.deposit import Threads
from sfu.edge.direct import DirectUploads
from sfu.edge.downloads import Downloads
from sfu.edge.entrance import Endpoint, Entrance
from sfu.edge.fetcher import Fetcher
from sfu.edge.pending import PendingUploads
from sfu.edge.recordings import Recordings
from sfu.edge.slots import Slots
from sfu.edge.uploads import Uploads

SWEPT_AFTER = 4
"""How many times as long as its URLs are good a direct upload may take (`Settings.upload_url_s`)."""


class Files:
    """What the routes share: threads that write to the bucket, connections that read from it."""

    def __init__(self, redis: Redis, chosen: Settings) -> None:
        self._threads = Threads()
        self._fetcher = Fetcher()
        slots = Slots(redis, chosen.uploads_at_once)
        self._uploads = Uploads(slots, self._threads)
        self._direct = DirectUploads(PendingUploads(redis, SWEPT_AFTER * chosen.upload_url_s), slots)
        self._downloads = Downloads(self._fetcher)
        self._recordings = Recordings(self._fetcher)

    def routes(self, entrance: Entrance) -> list[Route]:
        """The routes, behind the entrance."""
        download, thumbnail = self._downloads.download, self._downloads.thumbnail
        recording, track = self._recordings.download, self._recordings.track
        table: dict[str, dict[str, Endpoint]] = {
            "/api/v1/media/upload": {"POST": self._uploads.upload},
            "/api/v1/media/uploads": {"POST": self._direct.begin},
            "/api/v1/media/uploads/{upload_id}": {"GET": self._direct.read, "DELETE": self._direct.delete},
            "/api/v1/media/uploads/{upload_id}/complete": {"POST": self._direct.complete},
            "/api/v1/media/download/{media_id}": {"GET": download, "HEAD": download},
            "/api/v1/media/thumbnail/{media_id}": {"GET": thumbnail, "HEAD": thumbnail},
            "/api/v1/recording/download/{recording_id}": {"GET": recording, "HEAD": recording},
            "/api/v1/recording/download/{recording_id}/tracks/{number}": {"GET": track, "HEAD": track},
            "/api/v1/ffmpeg/thumbnail": {"POST": thumbnails.make},
        }
        return [Route(path, entrance.to(path, **endpoints)) for path, endpoints in table.items()]

    async def close(self) -> None:
        """Let what runs end."""
        await self._uploads.close()
        await self._downloads.close()
        await self._fetcher.close()
        self._threads.close()
