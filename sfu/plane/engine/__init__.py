"""The data plane in C, behind the same interface as `sfu.plane.python`.

`native` is the module in C. It is optional, so whoever imports it has to be ready for an ImportError, as
`sfu.plane.choice` is. `plane` puts it together with what stays in Python: TCP, and peers without AES-GCM.

One thread, the event loop's, owns an outbox and what belongs to it. The C code runs without the GIL where it encrypts
what was queued and where it calls the kernel. It trusts no length that it has not checked itself; keys and packets
come as `bytes`, which it never writes to.
"""
