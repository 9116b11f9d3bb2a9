"""The engine in C built with AddressSanitizer and UndefinedBehaviorSanitizer, and programs run with that build.

`python -m tests.sanitized MODULE [ARGUMENT...]` builds it and runs `python -m MODULE` with it. Whatever reads or
writes what does not belong to it, or leaves what C defines, ends the process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "sfu" / "plane" / "engine"
WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wstrict-prototypes", "-Wvla", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
LOADER = """
import importlib.util, runpy, sys
spec = importlib.util.spec_from_file_location("sfu.plane.engine.native", sys.argv[1])
sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
import sfu.plane.engine
sfu.plane.engine.native = module
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def compile_engine(output: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Build the module into a file, or only look at it with `-fsyntax-only`; warnings are errors."""
    headers = ["-DMEET_COMPARE_HEADERS"] if Path("/usr/include/openssl/evp.h").exists() else []
    command = ["gcc", "-std=c11", "-D_GNU_SOURCE", "-g", "-fPIC", "-shared", *WARNINGS, *flags, *headers]
    command += [f"-I{sysconfig.get_paths()['include']}", *map(str, sorted(SOURCES.glob("*.c"))), "-o", str(output)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def build_sanitized(folder: Path) -> Path:
    """The engine with sanitizers, in a folder."""
    library = folder / "native.so"
    built = compile_engine(library, "-O1", *SANITIZERS)
    assert built.returncode == 0, built.stderr
    return library


def run_sanitized(library: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module of Python with such a build."""
    runtimes = [_file_of(f"lib{name}.so") for name in ("asan", "ubsan")]
    env = os.environ | {
        "LD_PRELOAD": ":".join(runtimes),
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:handle_segv=1",  # Python keeps much until the end
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",  # so that an object's end is known
    }
    command = [sys.executable, "-c", LOADER, str(library), module, *arguments]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)


def _file_of(name: str) -> str:
    found = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return found.stdout.strip()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        done = run_sanitized(build_sanitized(Path(place)), *sys.argv[1:])
    print(done.stdout + done.stderr)
    sys.exit(done.returncode)
