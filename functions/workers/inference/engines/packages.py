"""Files that Python packages ship: where they are, and that they are the right ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from meet.domain.inference import InferenceModel

from .base import Unloadable


def lacking(model: InferenceModel, *modules: str) -> str | None:
    """What is said where one of these modules is not installed; None where all are."""
    gone = [name for name in modules if find_spec(name) is None]
    return f"{', '.join(gone)} is not installed: {model.cure or 'see its row in the registry'}" if gone else None


def folder_of(module: str) -> Path:
    """The folder of an installed package. Raises `Unloadable`."""
    found = find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise Unloadable(f"The package {module} is not installed.")
    return Path(found.submodule_search_locations[0])


def check(folder: Path, sha256: Mapping[str, str]) -> None:
    """Raise `Unloadable` where one of these files isn't what the registry says."""
    for name, expected in sha256.items():
        try:
            with (folder / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise Unloadable(f"{folder / name} can't be read ({error.strerror}).") from None
        if found != expected:
            raise Unloadable(f"{folder / name} is not the file that the registry names: its SHA-256 is {found}.")
