"""SAM CLI accepts the templates and builds what they name, without Docker."""

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.integration.conftest import sam


@pytest.mark.parametrize("template", ["template.yaml", "infra/data.yaml", "infra/network.yaml", "infra/worker.yaml"])
def test_a_template_is_valid(template: str, tmp_path: Path) -> None:
    assert "is a valid SAM Template" in sam("validate", "--lint", "--template", ROOT / template, home=tmp_path)


def test_functions_and_layers_are_built(built: Path) -> None:
    for name in ("Users", "Meetings", "Rooms", "Media", "Ffmpeg", "Ai"):
        assert (built / f"{name}Function" / name.lower() / "app.py").is_file()
    assert (built / "MeetLayer" / "python" / "meet" / "web" / "app.py").is_file()
    assert (built / "DepsLayer" / "python" / "fastapi").is_dir()
    assert (built / "FfmpegLayer" / "bin" / "ffmpeg").stat().st_mode & 0o111
    for layers in (("MeetLayer", "DepsLayer"), ("MeetLayer", "FfmpegLayer")):
        unzipped = sum(file.stat().st_size for layer in layers for file in _files(built / layer))
        assert unzipped < 250 * 2**20  # Lambda's limit on a function with its layers


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
