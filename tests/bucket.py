"""What is in the bucket of a running system, asked of S3 itself."""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import boto3
from botocore.config import Config

SOON_S = 20.0
Value = TypeVar("Value")


class Bucket:
    """The bucket of the system with this environment."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.name = env["MEET_BUCKET"]
        self.s3: Any = boto3.client(
            "s3",
            endpoint_url=env["MEET_S3_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}),
        )

    def keys(self) -> set[str]:
        """The keys of all objects."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return {one["Key"] for page in pages for one in page.get("Contents", [])}

    def uploads(self) -> list[str]:
        """The keys of multipart uploads that are open."""
        return [one["Key"] for one in self.s3.list_multipart_uploads(Bucket=self.name).get("Uploads", [])]


def eventually(ask: Callable[[], Value], good: Callable[[Value], bool]) -> Value:
    """The first answer that is good; asked again for a while."""
    deadline = time.monotonic() + SOON_S
    while not good(value := ask()):
        assert time.monotonic() < deadline, f"still {value}"
        time.sleep(0.05)
    return value
