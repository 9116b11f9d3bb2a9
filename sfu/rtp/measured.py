"""The layers of a track as they are measured at one moment: what can be sent to a subscriber, and what that takes."""

from sfu.rtp.bits import KeyFrame
from sfu.rtp.ladder import Ladder
from sfu.rtp.layers import Layer, LayerId
from sfu.rtp.meter import Share
from sfu.rtp.stream import RtpStream


def measured_layers(ladder: Ladder, now: float, *, simulcast: bool) -> tuple[Layer, ...]:
    """All layers that are sent, ascending in bit rate.

    Of simulcast the spatial layer is the rung, counted with the silent ones below it, and all that is inside an
    encoding besides temporal layers is sent with it.
    """
    found: list[Layer] = []
    for rung, stream in enumerate(ladder.rungs):
        if not stream.silent:
            found += _simulcast_layers(rung, stream, now) if simulcast else _stream_layers(stream, now)
    return tuple(sorted(found, key=lambda layer: (layer.bitrate_bps, layer.id)))


def spatial_sizes(ladder: Ladder, *, simulcast: bool) -> tuple[KeyFrame, ...]:
    """The size of each spatial layer; 0 x 0 where it is not known."""
    if simulcast:
        return tuple(rung.picture for rung in ladder.rungs)
    reader = ladder.rungs[-1].reader if ladder.rungs else None
    return reader.sizes if reader is not None else ()


def _simulcast_layers(rung: int, stream: RtpStream, now: float) -> list[Layer]:
    top = max((layer.spatial for layer in stream.meter.layers()), default=0)
    return [
        _layer(stream, LayerId(rung, layer.temporal), LayerId(top, layer.temporal), now)
        for layer in sorted(stream.meter.layers())
        if layer.spatial == top
    ]


def _stream_layers(stream: RtpStream, now: float) -> list[Layer]:
    return [_layer(stream, layer, layer, now) for layer in sorted(stream.meter.layers())]


def _layer(stream: RtpStream, name: LayerId, inside: LayerId, now: float) -> Layer:
    def included(share: Share) -> bool:
        return share.spatial <= inside.spatial and share.temporal <= inside.temporal

    def shown(share: Share) -> bool:
        return share.spatial == inside.spatial and share.temporal <= inside.temporal

    size = _size(stream, inside.spatial)
    bitrate_bps = round(stream.meter.bitrate_bps(included, now))
    return Layer(name, bitrate_bps, size.width, size.height, round(stream.meter.frame_rate(shown, now), 1))


def _size(stream: RtpStream, spatial: int) -> KeyFrame:
    sizes = stream.reader.sizes if stream.reader is not None else ()
    if not sizes:
        return KeyFrame()
    return sizes[min(spatial, len(sizes) - 1)]
