"""`python -m meet.probe examine SIZE` or `... picture SIZE AT_S WIDTH HEIGHT FORMAT`: the child of `client`.

Its standard input is the socket of `wire`. Whatever a file does to this process, the caller sees an answer or an end.
"""

import json
import socket
import sys
from dataclasses import asdict
from io import BufferedReader
from typing import cast

from . import sandbox, wire
from .examine import examine, picture
from .kinds import Format, Unreadable
from .reader import Reader


def main(arguments: list[str]) -> None:
    task, size, *how = arguments
    caller = socket.socket(fileno=0)
    sandbox.confine()
    caller.sendall(wire.HEADER.pack(wire.READY, 0, 0))
    file = BufferedReader(Reader(caller, int(size)))
    answer: dict[str, object] = {}
    made: bytes | None = None
    try:
        if task == "examine":
            found = examine(file, int(size))
            made = found.thumbnail
            answer = {"mime_type": found.kind.mime_type, "facts": asdict(found.facts)}
        else:
            at_s, width, height, format = how
            made = picture(file, float(at_s), int(width), int(height), cast(Format, format))
    except Unreadable as error:
        answer = {"unreadable": error.message, "cause": repr(error.__cause__ or "")}
    except MemoryError:
        answer = {"unreadable": "The file takes too much memory to be read", "cause": "MemoryError"}
    except Exception as error:  # whatever a reader says of a broken file: the file is all that it was given
        answer = {"unreadable": "The file is broken", "cause": repr(error)}
    text = json.dumps(answer).encode()
    caller.sendall(wire.HEADER.pack(wire.DONE, len(text), len(made or b"")) + text + (made or b""))


main(sys.argv[1:])
