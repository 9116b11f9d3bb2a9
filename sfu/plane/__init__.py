"""The data plane: SRTP in and out of the one UDP socket, behind the narrow interface of `plane.base`.

`derivation` makes session keys, `gcm` and `cm` are the two ciphers, `replay` is what a receiver remembers of a
stream, `outbox` sends in batches, and `python` puts them together.
"""
