"""The description of the whole API: what each function's own OpenAPI says, in one document."""

from importlib import import_module
from typing import Any

AREAS = ("users", "meetings", "rooms", "media", "ai")


def whole_api() -> dict[str, Any]:
    """One OpenAPI document of every function; two functions that claim one path, or differ in a schema, fail."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    whole: dict[str, Any] = {}
    for area in AREAS:
        described = import_module(f"functions.{area}.app").app.openapi()
        assert not paths.keys() & described["paths"].keys(), area
        paths |= described["paths"]
        for name, schema in described.get("components", {}).get("schemas", {}).items():
            assert schemas.setdefault(name, schema) == schema, f"two schemas are called {name}"
        whole = described
    return {
        "openapi": whole["openapi"],
        "info": {"title": "Meet", "version": "1.0"},
        "paths": paths,
        "components": {"schemas": schemas},
    }
