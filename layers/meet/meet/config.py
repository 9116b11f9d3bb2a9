"""All configuration, read from the environment once. Nobody else reads `os.environ`."""

import json
from functools import cached_property, lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The settings of every process of the system; each is the environment variable `MEET_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="MEET_", frozen=True, extra="ignore")

    port: int = Field(8080, ge=1, le=65535)
    """The one public TCP port, owned by the edge."""
    bind_host: str = "0.0.0.0"  # noqa: S104 - a server that a team reaches from other machines
    """The address that the public port and the UDP ports bind to."""
    home: Path = Path(".state")
    """Where a laptop keeps its state: the data of the local servers, and generated secrets."""
    public_base_url: str = ""
    """What clients call, without a trailing slash; empty: `http://localhost:<port>`."""

    trusted_proxies: str = ""
    """Addresses of the proxies before the edge whose `X-Forwarded-*` is believed, comma-separated; else none is."""

    udp_port: int = Field(40000, ge=1, le=65535)
    """Media process i binds UDP port `udp_port + i`."""
    tcp_port: int | None = Field(None, ge=0, le=65535)
    """Media process i takes TCP port `tcp_port + i` for peers that UDP can't reach; unset: the numbers of `udp_port`;
    0: none."""
    announced_ip: str = "auto"
    """The addresses put into ICE candidates, comma-separated; `auto` finds the machine's own."""
    sfu_processes: int = Field(1, ge=1, le=64)
    """Media processes of this machine; one room lives in one of them."""
    sfu_plane: Literal["auto", "python", "engine"] = "auto"
    """What encrypts and sends media: the engine in C where it was built, or one of the two by name."""
    gateway_port: int = Field(0, ge=0, le=65535)
    """The functions' gateway listens here on loopback; 0: chosen by the script that starts it."""
    api_url: str = ""
    """Where the edge relays REST to: the gateway on a laptop, the API's stage on AWS."""
    inner_port: int = Field(0, ge=0, le=65535)
    """A media process serves its signaling here, to the edges only; 0: any free port."""
    inner_host: str = "127.0.0.1"
    """The address that a media process serves its signaling on and publishes to the edges."""
    process_index: int = Field(0, ge=0, le=63)
    """Which of the machine's media processes this is."""

    admin_username: str = ""
    admin_password: SecretStr = SecretStr("")
    """The first administrator, made at the first start; never a default password."""
    jwt_secret: SecretStr = SecretStr("")
    """Signs access tokens, tickets and CSRF tokens; at least 32 bytes (RFC 7518 section 3.2)."""
    access_token_s: int = Field(3600, ge=1)
    refresh_token_s: int = Field(7 * 24 * 3600, ge=1)

    rate_limits: str = ""
    """A JSON table `{class: [limit, burst]}` over the defaults of `meet.ratelimit`, or `off`."""
    max_participants: int = Field(100, ge=1)
    """The most participants that a room may have, whatever the meeting asks for."""
    last_n: int = Field(16, ge=0, le=40)
    """The most videos that a client gets that asks for none by name: a grid of four by four, which takes about
    2.5 Mbit/s at the lowest layers. Each takes the place of one and a half people's audio in what an answer holds."""
    max_body_bytes: int = 1_000_000
    """The largest JSON body that a function reads."""
    idempotency_s: int = 24 * 3600
    message_history_days: int = 30

    redis_url: str = "redis://127.0.0.1:6379/0"
    aws_endpoint_url: str = ""
    """DynamoDB and SQS of a local stack; empty: the real AWS."""
    s3_endpoint_url: str = ""
    """S3 where it is another server than `aws_endpoint_url`; empty: that one."""
    aws_region: str = "us-east-1"
    table_prefix: str = "meet-"
    queue_prefix: str = "meet-"
    bucket: str = "meet-media"
    """Where all files are."""
    s3_public_url: str = ""
    """S3 as browsers reach it, for presigned URLs; empty: as this process does."""

    upload_limits: str = ""
    """A JSON table `{file type: megabytes}` over the document's 1000 for each of video, audio, image and document."""
    uploads_at_once: int = Field(3, ge=1)
    """Of one user."""
    upload_url_s: int = Field(900, ge=1, le=900)
    """How long a presigned part may be sent; what was begun and not completed in four times that is swept."""

    ffmpeg: str = ""
    """FFmpeg's binary; empty: Debian's where it is on the PATH, else the packaged one."""
    job_long_s: int = Field(480, ge=1)
    """Jobs estimated above this go to the queue of a container, since a Lambda ends after 15 minutes."""
    job_most_s: int = Field(4 * 3600, ge=1)
    """The most that one run of FFmpeg may take."""
    job_lease_s: int = Field(15, ge=1)
    """How long a worker may be silent before its job is another's."""
    job_output_bytes: int = Field(4_000_000_000, ge=1)
    job_memory_bytes: int = Field(2_000_000_000, ge=1)

    recording_lease_s: int = Field(45, ge=1)
    """How long a media process may be silent before its recording or stream is taken for dead."""
    recording_wait_s: float = Field(20, ge=0)
    """How long a stop waits for the file (decision 19)."""
    egress_allow: str = ""
    """Networks that RTMP may be sent to though they are private, comma-separated: `10.1.0.0/16,127.0.0.1`."""
    egress_most: int = Field(8, ge=0)
    """The most recordings and streams of one media process."""

    models: Path | None = None
    """A TOML file of further models, and of others in the place of those in `meet/models.toml`."""
    inference_nodes: int = Field(1, ge=0)
    """Nodes that `make up` starts; any number more may be started by hand, on any machine."""
    inference_threads: int = Field(0, ge=0)
    """That one model may compute with; 0: as many as there are cores."""
    inference_memory_bytes: int = Field(0, ge=0)
    """What the models of one node may take together; 0: seven tenths of the machine's memory."""
    inference_most_s: int = Field(3600, ge=1)
    """The most that one request may take."""
    inference_part_s: float = Field(300, gt=30)
    """About how long the parts are that long recordings are transcribed in, side by side."""

    stun_urls: str = "stun:stun.l.google.com:19302"
    turn_urls: str = ""
    """Comma-separated, for example `turn:turn.example.com:3478?transport=udp`."""
    turn_secret: SecretStr = SecretStr("")
    """coturn's `static-auth-secret`, from which time-limited credentials are made."""
    turn_credential_s: int = 6 * 3600

    resume_s: float = 30.0
    """How long a participant whose socket was lost is kept (decision 15)."""
    seat_lease_s: int = 120
    """How long a seat is kept without any socket (decision 46)."""
    ping_interval_s: float = 30.0
    ping_timeout_s: float = 90.0
    cookie_secure: Literal["auto", "yes", "no"] = "auto"
    """Whether cookies are marked Secure; `auto`: where `public_base_url` is https."""
    log_level: str = "INFO"
    log_format: Literal["plain", "json"] = "plain"
    """For people, or an object a line for what gathers logs."""
    tracing: Literal["off", "xray", "otlp"] = "off"
    """Where traces go: X-Ray's daemon, or an OpenTelemetry collector."""
    tracing_endpoint: str = ""
    """`host:port` of the daemon, or the collector's URL; empty: its usual port on this machine."""
    tracing_share: float = Field(1.0, ge=0, le=1)
    """Of the traces that begin here, how many are kept."""
    lambda_name: str = Field("", validation_alias="AWS_LAMBDA_FUNCTION_NAME")
    """Which function this is; set by Lambda."""

    @field_validator("public_base_url", "api_url")
    @classmethod
    def _no_trailing_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator("public_base_url", "api_url", "aws_endpoint_url", "s3_endpoint_url", "s3_public_url")
    @classmethod
    def _is_web_url(cls, value: str) -> str:
        if value:
            _check_scheme(value, "http://", "https://")
            if not urlsplit(value).hostname:
                raise ValueError("it must name a host")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_addresses(cls, value: str) -> str:
        """A name, or a network with host bits, would be a proxy that is never believed."""
        for part in filter(None, (part.strip() for part in value.split(","))):
            if part != "*":
                ip_network(part)
        return value

    @field_validator("egress_allow")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for part in filter(None, (part.strip() for part in value.split(","))):
            ip_network(part)
        return value

    @field_validator("redis_url")
    @classmethod
    def _is_redis_url(cls, value: str) -> str:
        return _check_scheme(value, "redis://", "rediss://", "unix://")

    @field_validator("stun_urls", "turn_urls")
    @classmethod
    def _are_ice_urls(cls, value: str, info: ValidationInfo) -> str:
        """A browser refuses to make any connection where one of them is wrong."""
        kind = (info.field_name or "").removesuffix("_urls")
        for url in filter(None, (part.strip() for part in value.split(","))):
            _check_scheme(url, f"{kind}:", f"{kind}s:")
        return value

    @cached_property
    def base_url(self) -> str:
        """The public base URL, never empty, without a trailing slash."""
        return self.public_base_url or f"http://localhost:{self.port}"

    @cached_property
    def first_tcp_port(self) -> int:
        """The TCP port for media of the first process, or 0 for none."""
        return self.udp_port if self.tcp_port is None else self.tcp_port

    @cached_property
    def signaling_url(self) -> str:
        """The public WebSocket URL, the same for every room."""
        return "ws" + self.base_url.removeprefix("http") + "/ws/signaling"

    @cached_property
    def rate_limit_table(self) -> dict[str, Any] | None:
        """The configured overrides as a mapping, or None where limits are off; `ValueError` for anything else."""
        text = self.rate_limits.strip()
        if text.lower() == "off":
            return None
        table: object = json.loads(text) if text else {}
        if not isinstance(table, dict):
            raise ValueError("MEET_RATE_LIMITS must be a JSON object, or `off`")
        return table

    @cached_property
    def upload_limit_mb(self) -> dict[str, int]:
        """The most megabytes (10^6 bytes) of an upload, by file type; `ValueError` where the setting is wrong."""
        table: object = json.loads(self.upload_limits or "{}")
        limits = dict.fromkeys(("video", "audio", "image", "document"), 1000)
        if not isinstance(table, dict) or not table.keys() <= limits.keys():
            raise ValueError(f"MEET_UPLOAD_LIMITS must be a JSON object with keys of {', '.join(limits)}")
        if not all(isinstance(mb, int) and mb > 0 for mb in table.values()):
            raise ValueError("MEET_UPLOAD_LIMITS must have megabytes, above 0, as values")
        return limits | table


def _check_scheme(url: str, *schemes: str) -> str:
    if not url.startswith(schemes):
        raise ValueError(f"it must begin with {' or '.join(schemes)}")
    return url


@lru_cache(maxsize=1)
def settings() -> Settings:
    """This process's settings; read at the first call. Tests call `settings.cache_clear()`."""
    return Settings()
