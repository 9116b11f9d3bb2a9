"""The parts of aiortc that the media process uses, without the rest of it.

`import aiortc` imports `av`, and with it FFmpeg's libraries, which a media process must never map: it forwards and
does not decode. `aiortc/__init__.py` imports the receivers and their decoders, and `aiortc/rtp.py` takes one name
from `av`, for the annotation of a function that nobody here calls. So what is wanted is loaded from aiortc's
folder under a package name of our own, `sfu._aiortc`, whose `__init__` never runs, and that one name gets a stand-in
while `rtp` loads. Nothing named `aiortc` or `av` stays in `sys.modules`: a test may still `import aiortc` for a real
client beside it. Its classes are then not these classes, so never mix the two.

Everything else in this package imports aiortc's pieces from here.
"""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING

__all__ = ["certificate_digest", "generate_certificate"]

PACKAGE = "sfu._aiortc"


def _make_package() -> None:
    """Put an empty package over aiortc's folder, so that its submodules find each other by relative imports."""
    spec = importlib.util.find_spec("aiortc")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("aiortc is not installed", name="aiortc")
    package = ModuleType(PACKAGE, "aiortc's submodules, without what its __init__ imports.")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules[PACKAGE] = package


def _load(submodule: str) -> ModuleType:
    """Import a submodule and those that it needs, while `av` is a stand-in with the one name that `rtp` takes."""
    stand_in = ModuleType("av")
    stand_in.__dict__["AudioFrame"] = type("AudioFrame", (), {})
    real = sys.modules.get("av")
    sys.modules["av"] = stand_in
    try:
        return importlib.import_module(f"{PACKAGE}.{submodule}")
    finally:
        if real is None:
            del sys.modules["av"]
        else:
            sys.modules["av"] = real


if TYPE_CHECKING:
    from aiortc import rtcdtlstransport
else:
    _make_package()
    rtcdtlstransport = _load("rtcdtlstransport")

certificate_digest = rtcdtlstransport.certificate_digest
generate_certificate = rtcdtlstransport.generate_certificate
