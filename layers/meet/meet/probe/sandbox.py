"""What a process that reads a hostile file may do: compute for a while, in bounded memory, and talk to its parent."""

import resource

CPU_S = 30
"""Of one file. A PNG of 133 megapixels takes about 4, and 6 where it can be seen through."""
MEMORY_BYTES = 1_500_000_000
"""Of address space, of which the interpreter and FFmpeg's libraries are about 300 MB: enough for the largest picture
that is allowed (`images.MOST_PIXELS`, 4 bytes each) and its reduced copy, and for video of 8192x4320."""


def confine() -> None:
    """Give up, for good, whatever reading a file doesn't need. All that is to be imported must be imported before.

    Nothing can be opened any more, neither a file nor a socket, and no process be started; where a limit is passed,
    the kernel ends the process (CPU), or it gets no more (memory).
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    for none in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(none, (0, 0))
