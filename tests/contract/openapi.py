"""The description of the whole API: what each function's own OpenAPI says, in one document."""

import json
from importlib import import_module
from typing import Any

AREAS = ("users", "meetings", "rooms", "media", "ffmpeg", "recordings", "ai")
REFERENCE = "#/components/schemas/"


def whole_api() -> dict[str, Any]:
    """One OpenAPI document of every function; schemas are called `area.Name`. Two functions on one path fail."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    version = ""
    for area in AREAS:
        text = json.dumps(import_module(f"functions.{area}.app").app.openapi())
        described = json.loads(text.replace(REFERENCE, f"{REFERENCE}{area}."))
        assert not paths.keys() & described["paths"].keys(), area
        paths |= described["paths"]
        named = described.get("components", {}).get("schemas", {})
        schemas |= {f"{area}.{name}": schema for name, schema in named.items()}
        version = described["openapi"]
    info = {"title": "Meet", "version": "1.0"}
    return {"openapi": version, "info": info, "paths": paths, "components": {"schemas": schemas}}
