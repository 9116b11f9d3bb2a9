"""Data channels: SCTP over DTLS (RFC 8261, RFC 8831, RFC 8832), as far as WebRTC needs it, and without a socket.

Written here and not taken from aiortc, whose `RTCSctpTransport` was read and tried (1.16.0). It is not safe to give
to a stranger: one INIT with a parameter of length 0 turns `decode_params` for ever, and with it stops every call of
the process; a SACK with some hundred gap blocks costs millions of steps; what a peer sends in pieces, and what waits
for a slow reader, is kept without a bound; asserts and `struct.error` come out of what was received. It is also
asyncio's: its timers cannot be given the time, and each one is a task.

* `packet`: what stands in a packet, and CRC32c.
* `inbound`: what has arrived, put in order and together again.
* `queue`: what waits to be sent; `outbound`: what is on its way; `congestion`: how much that may be.
* `association`: the handshake, the peer's chunks, streams that are reset.
* `channels`: labels, protocols, and which stream is whose.
"""
