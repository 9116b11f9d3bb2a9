"""Weights that are not installed with the code: fetched from a hub or from S3, once a machine, with progress.

The hub is Hugging Face's, or a mirror that `HF_ENDPOINT` names, with `HF_TOKEN` where a model needs one: its library
reads both. A folder in S3 is synced below the home of models and is whole once its mark is written.
"""

from __future__ import annotations

import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from meet.domain.inference import InferenceModel, Source

from .engines.base import Place, Unloadable, Watch

PATTERNS = ("*.json", "*.safetensors", "*.txt", "*.model", "*.spm", "*.jinja")
"""Of a repository: no pickles, which could run anything, and not the same weights in other frameworks' formats."""
MARK = ".whole"


def is_here(source: Source, place: Place) -> bool:
    """Whether the weights can be loaded without fetching anything."""
    if source.is_here:
        return True
    if source.scheme == "s3":
        return (_folder(source, place) / MARK).exists()
    return _cached(source, place) is not None


def missing(source: Source) -> str | None:
    """What keeps the weights from being fetched, whatever the network; None where nothing does."""
    if source.scheme == "hf" and find_spec("huggingface_hub") is None:
        return "huggingface_hub is not installed: start with `make up WITH=transformers`"
    return None


def fetch(model: InferenceModel, place: Place, watch: Watch, source: Source | None = None) -> Path:
    """The folder with the weights, fetched where they aren't there yet. Raises `Unloadable` and `Stopped`."""
    source = source or model.source
    if source.scheme == "s3":
        return _sync(source, place, watch)
    found = _cached(source, place)
    return found if found is not None else _download(source, place, watch)


def _cached(source: Source, place: Place) -> Path | None:
    if find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - of nodes alone
    from huggingface_hub.errors import LocalEntryNotFoundError  # noqa: PLC0415

    try:
        folder = Path(
            snapshot_download(
                source.place,
                revision=source.revision,
                cache_dir=_hub_cache(place),
                allow_patterns=list(PATTERNS),
                local_files_only=True,
            )
        )
    except LocalEntryNotFoundError:
        return None
    return folder if (folder / "config.json").exists() and any(folder.glob("*.safetensors")) else None


def _download(source: Source, place: Place, watch: Watch) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError  # noqa: PLC0415
    from huggingface_hub.utils import tqdm  # noqa: PLC0415

    told = threading.local()

    class Told(tqdm):  # type: ignore[misc]  # its package may not be installed here
        """A bar that nobody sees, and that asks whether to go on."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})
            self._done = 0.0

        def update(self, n: float | None = 1) -> bool | None:
            self._done += n or 0
            if self.total and not getattr(told, "within", False):
                told.within = True
                try:
                    watch.go_on(self._done / self.total)
                finally:
                    told.within = False
            return None

    try:
        return Path(
            snapshot_download(
                source.place,
                revision=source.revision,
                cache_dir=_hub_cache(place),
                allow_patterns=list(PATTERNS),
                tqdm_class=Told,
            )
        )
    except GatedRepoError as error:
        raise Unloadable(f"{source} wants its licence accepted: set HF_TOKEN to a token of who has.") from error
    except RepositoryNotFoundError as error:
        raise Unloadable(f"{source} is not on the hub, or not for this HF_TOKEN.") from error
    except (HfHubHTTPError, OSError) as error:
        raise Unloadable(f"{source} can't be fetched: {str(error).splitlines()[0]}") from error


def _sync(source: Source, place: Place, watch: Watch) -> Path:
    """Every object below the prefix, into a folder of its own."""
    from meet import objects  # noqa: PLC0415 - its client of S3, of whatever bucket

    folder = _folder(source, place)
    if (folder / MARK).exists():
        return folder
    bucket, _, prefix = source.place.partition("/")
    prefix = prefix.rstrip("/") + "/" if prefix else ""
    s3 = objects.client()
    with objects.answers_in_our_words():
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        there = [each for page in pages for each in page.get("Contents", []) if not each["Key"].endswith("/")]
        if not there:
            raise Unloadable(f"There is nothing below {source}.")
        total = sum(each["Size"] for each in there)
        done = 0
        for each in there:
            watch.go_on(done / max(1, total))
            path = folder / each["Key"].removeprefix(prefix)
            if not path.resolve().is_relative_to(folder.resolve()):
                raise Unloadable(f"{each['Key']} would not lie below its folder.")
            path.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, each["Key"], str(path))
            done += each["Size"]
    (folder / MARK).touch()
    return folder


def _hub_cache(place: Place) -> Path:
    return place.home / "hub"


def _folder(source: Source, place: Place) -> Path:
    return place.home / "s3" / source.place
