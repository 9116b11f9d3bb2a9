"""Models without a node: one JSON request a line on standard input, one JSON answer a line on standard output.

    echo '{"model": "whisper-base", "path": "talk.wav", "mime_type": "audio/wav"}' |
      .venvs/inference/bin/python -m functions.workers.inference.engines

A request has `model`, `path` and `mime_type` or `text`, `options`, and `folder` for files that are made. An answer
has `answer`, `load_s` and `infer_s`, or `refused`. A model stays loaded until the end.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from meet.config import settings
from meet.models import registry

from ..machine import cores, device
from . import make, missing
from .base import UNWATCHED, Asked, Engine, Place, Refused, Unloadable


def main() -> int:
    """Answer until the end of the input."""
    place = Place(settings().home.resolve() / "models", settings().inference_threads or cores(), device())
    loaded: dict[str, Engine] = {}
    for line in sys.stdin:
        try:
            answer = respond(json.loads(line), place, loaded)
        except (Refused, Unloadable, LookupError) as error:
            answer = {"refused": str(error)}
        print(json.dumps(answer, default=str), flush=True)
    return 0


def respond(request: dict[str, Any], place: Place, loaded: dict[str, Engine]) -> dict[str, Any]:
    """The answer to one request; its model is loaded where it isn't yet."""
    model = registry().find(request["model"])
    if model is None:
        raise LookupError(f"no row has the id {request['model']!r}")
    if why := missing(model):
        raise Unloadable(why)
    began = time.monotonic()
    if model.model_id not in loaded:
        engine = make(model, place)
        engine.load(UNWATCHED)
        loaded[model.model_id] = engine
    ready = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = None
        if "path" in request:
            path = Path(shutil.copy(request["path"], folder))
        made_in = Path(request.get("folder", folder))
        asked = Asked(
            path, request.get("mime_type", ""), request.get("text", ""), made_in, request.get("options", {})
        )
        answer = loaded[model.model_id].infer(asked, UNWATCHED)
    values = [asdict(each) for each in answer] if isinstance(answer, list) else asdict(answer)
    return {"answer": values, "load_s": ready - began, "infer_s": time.monotonic() - ready}


if __name__ == "__main__":
    sys.exit(main())
