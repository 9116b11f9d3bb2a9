"""What the two halves say to each other over one socket.

The child says `READY` once it is confined; then it asks for bytes (`READ`, offset and length) as often as it likes,
and gets just these, fewer at the file's end; its last word is `DONE`, with the lengths of the JSON and of the picture
that follow. Whatever happens else ends in a closed socket.
"""

import socket
from struct import Struct

HEADER = Struct("!BQQ")
READY, READ, DONE = 1, 2, 3
MOST_READ = 8 << 20
"""The most bytes that may be asked for at once."""
MOST_JSON, MOST_PICTURE = 64 << 10, 256 << 20
"""The most that a child may answer: a PNG of `pictures.MOST_SIDE` squared has no more."""


def receive(peer: socket.socket, size: int) -> bytes:
    """Exactly so many bytes; `EOFError` where the other side is gone."""
    parts = bytearray()
    while len(parts) < size:
        part = peer.recv(min(size - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
