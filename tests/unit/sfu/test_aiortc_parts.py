import subprocess
import sys

IMPORT_EVERYTHING = """
import importlib, pkgutil, sys
import sfu

for module in pkgutil.walk_packages(sfu.__path__, "sfu."):
    if not module.name.endswith("__main__") and not module.name.startswith("sfu.egress"):
        importlib.import_module(module.name)
from sfu import aiortc_parts

module = aiortc_parts.certificate_digest.__module__
assert module == "sfu._aiortc.rtcdtlstransport", module
loaded = sorted(name for name in sys.modules if name.partition(".")[0] in ("av", "aiortc"))
assert not loaded, loaded
with open("/proc/self/maps") as maps:
    mapped = sorted({line.split()[-1] for line in maps if "/av/" in line or "libav" in line})
assert not mapped, mapped
print("clean")
"""

BESIDE_A_REAL_CLIENT = """
import sys
import sfu.aiortc_parts as parts
import aiortc

from aiortc.rtcdtlstransport import certificate_digest
assert certificate_digest is not parts.certificate_digest
assert sys.modules["av"].AudioFrame is aiortc.rtp.AudioFrame
del sys.modules["sfu.aiortc_parts"], sys.modules["sfu._aiortc.rtcdtlstransport"], sys.modules["sfu._aiortc.rtp"]
import av
import sfu.aiortc_parts
assert sys.modules["av"] is av
print("clean")
"""


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def test_nothing_under_sfu_loads_av() -> None:
    assert run(IMPORT_EVERYTHING) == "clean\n"


def test_a_real_client_may_live_in_the_same_process() -> None:
    assert run(BESIDE_A_REAL_CLIENT) == "clean\n"
