"""The data plane: SRTP in and out of the one UDP socket, behind the narrow interface of `plane.base`.

`derivation` makes session keys, `gcm` and `cm` are the two ciphers, `replay` is what a receiver remembers of a
stream, `outbox` sends in batches, `inbox` receives, and `python` puts them together. `engine` does the same in C, and
forwards to many subscribers without Python as long as nothing has to be decided (`sfu.rtp.lane`); `choice` takes it
where it was built.
"""
