"""The layers of a track as they are measured at one moment: what can be sent to a subscriber, and what that takes."""

from collections.abc import Callable

from sfu.rtp.bits import KeyFrame
from sfu.rtp.ladder import Ladder
from sfu.rtp.layers import Layer, LayerId
from sfu.rtp.meter import Share
from sfu.rtp.stream import RtpStream


def measured_layers(ladder: Ladder, now: float, *, simulcast: bool) -> tuple[Layer, ...]:
    """All layers that are sent, ascending in bit rate.

    One that has just begun is there once its rate is known, unless it is all that there is. Of simulcast the
    spatial layer is the rung, counted with the silent ones below it, and all that is inside an encoding besides
    temporal layers is sent with it.
    """
    found: list[Layer] = []
    for rung, stream in enumerate(ladder.rungs):
        if stream.silent:
            continue
        layers = stream_layers(stream, now)
        top = max((layer.spatial for layer in layers), default=0)
        for layer, included in layers.items():
            if not simulcast:
                found.append(_layer(stream, layer, layer, included, now))
            elif layer.spatial == top:
                found.append(_layer(stream, LayerId(rung, layer.temporal), layer, included, now))
    known = [layer for layer in found if layer.bitrate_bps]
    return tuple(sorted(known or found, key=lambda layer: (layer.bitrate_bps, layer.id)))


def stream_layers(stream: RtpStream, now: float) -> dict[LayerId, Callable[[Share], bool]]:
    """The layers inside a stream, and what of it goes to who gets each."""
    told = stream.reader.structured if stream.reader is not None else None
    if told is not None:
        layers = told.structure.layers
        active = (target for target in range(told.structure.targets) if told.active >> target & 1)
        return {layers[target]: _of_target(target) for target in active}
    return {layer: _up_to(layer) for layer in stream.meter.layers(now)}


def layers_inside(stream: RtpStream) -> frozenset[LayerId]:
    """The layers inside a stream when its last packet came: found out once, whatever number of subscribers asks."""
    packets, inside = stream.inside
    if packets != stream.packets:
        inside = frozenset(stream_layers(stream, stream.last_arrival))
        stream.inside = stream.packets, inside
    return inside


def spatial_sizes(ladder: Ladder, *, simulcast: bool) -> tuple[KeyFrame, ...]:
    """The size of each spatial layer; 0 x 0 where it is not known."""
    if simulcast:
        return tuple(rung.picture for rung in ladder.rungs)
    reader = ladder.rungs[-1].reader if ladder.rungs else None
    return reader.sizes if reader is not None else ()


def _of_target(target: int) -> Callable[[Share], bool]:
    return lambda share: bool(share.targets >> target & 1)


def _up_to(layer: LayerId) -> Callable[[Share], bool]:
    return lambda share: share.spatial <= layer.spatial and share.temporal <= layer.temporal


def _layer(stream: RtpStream, name: LayerId, inside: LayerId, included: Callable[[Share], bool], now: float) -> Layer:
    sizes = stream.reader.sizes if stream.reader is not None else ()
    size = sizes[min(inside.spatial, len(sizes) - 1)] if sizes else KeyFrame()
    bitrate_bps = round(stream.meter.bitrate_bps(included, now))
    frame_rate = stream.meter.frame_rate(lambda share: share.spatial == inside.spatial and included(share), now)
    return Layer(name, bitrate_bps, size.width, size.height, round(frame_rate, 1))
