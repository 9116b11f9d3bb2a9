"""The inference nodes of `make up`: their engines are installed in the background, after the system is ready.

Nothing waits for them: until a node is there, the AI service says which models are missing and why. They need the
network once, to install what is pinned; no hub and, without `WITH=transformers`, no torch.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from threading import Event
from time import monotonic

from redis import Redis, RedisError

from children import Children
from meet.clock import utcnow
from meet.domain.inference import Function, InferenceNode, words
from meet.fleet import Fleet
from meet.models import registry
from servers import ROOT

APERTIUM = (
    "apertium",
    "/usr/share/apertium/modes/eng-spa.mode=apertium-eng-spa",
    "/usr/share/apertium/modes/es-pt.mode=apertium-es-pt",
    "/usr/share/apertium/modes/fr-es.mode=apertium-fr-es",
    "/usr/share/apertium/modes/spa-ita.mode=apertium-spa-ita",
)
"""Translation: programs of Debian's, installed where this runs as root and named where it doesn't."""
FIRST_WORD_S = 120.0
"""What a node gets to say that it is there, on a machine that is busy."""


def start_nodes(children: Children, tier: int, count: int, *, extra: str, redis_url: str, stop_asked: Event) -> None:
    """Install the engines, start so many nodes and tell what they can do. For a thread of its own.

    `extra` is the name of another environment, `transformers`, or empty. Returns when asked to stop.
    """
    venv = extra or "inference"
    if not _install(venv) or stop_asked.is_set():
        return
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'layers' / 'meet'}", "OMP_WAIT_POLICY": "passive"}
    python = ROOT / ".venvs" / venv / "bin" / "python"
    before = utcnow()
    for number in range(count):
        children.start(f"inference-{number}", tier, [python, "-m", "functions.workers.inference"], env)
    deadline = monotonic() + FIRST_WORD_S
    with Redis.from_url(redis_url, socket_timeout=2) as redis:
        while not stop_asked.wait(0.5) and monotonic() < deadline:
            try:
                nodes = [each for each in Fleet(redis).online(utcnow()) if each.started_at >= before]
            except RedisError:
                continue
            if len(nodes) >= count:
                print(told(nodes), flush=True)
                break
    stop_asked.wait()  # the kernel ends children with the thread that started them, and not with the process


def told(nodes: Sequence[InferenceNode]) -> str:
    """What the AI service can do at once, and what would make it do the rest."""
    ready = {function for node in nodes for function in node.functions}
    lines = [f"AI is ready for {', '.join(words(each) for each in Function if each in ready) or 'nothing'}."]
    for function in Function:
        if function not in ready:
            rows = [each for each in registry().models if each.function is function]
            why = dict.fromkeys(_why(each.model_id, nodes) for each in rows)
            lines.append(f"Not for {words(function)}: {'; or '.join(why)}.")
    return "\n".join(lines)


def _why(model_id: str, nodes: Sequence[InferenceNode]) -> str:
    lacking: Mapping[str, str] = nodes[0].lacking
    return lacking.get(model_id) or f"POST /api/v1/models/{model_id}/load fetches {model_id}"


def _install(venv: str) -> bool:
    """Whether the engines are there; what went wrong was said, and the rest of the system goes on without them."""
    subprocess.run(
        [str(ROOT / "localstack" / "debian-packages.sh"), *APERTIUM], check=False, stdin=subprocess.DEVNULL
    )
    # `make` knows whether it is up to date; its own variables are of the one that this was started by.
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    command = ["nice", "make", "--no-print-directory", "--silent", f".venvs/{venv}/ready"]
    done = subprocess.run(command, cwd=ROOT, env=env, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        print("The AI service has no node, since its engines could not be installed.", file=sys.stderr, flush=True)
    return done.returncode == 0
