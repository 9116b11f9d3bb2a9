"""Negotiation: SDP on one side, `RtpParameters` on the other, and nothing but pure functions between.

A client offers what it publishes and gets `publish_answer(read_publish_offer(text), …)`; the SFU offers what can be
subscribed with `subscribe_offer` and reads what came of it with `read_subscribe_answer` (RFC 8829, RFC 9429).
"""

from sfu.ortc.publish import PublishOffer, publish_answer, read_publish_offer
from sfu.ortc.sdp import Origin, SdpError
from sfu.ortc.subscribe import (
    OfferedSection,
    SubscribeAnswer,
    consumer_parameters,
    read_subscribe_answer,
    subscribe_offer,
)

__all__ = [
    "OfferedSection",
    "Origin",
    "PublishOffer",
    "SdpError",
    "SubscribeAnswer",
    "consumer_parameters",
    "publish_answer",
    "read_publish_offer",
    "read_subscribe_answer",
    "subscribe_offer",
]
