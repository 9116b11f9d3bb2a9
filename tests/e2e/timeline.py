"""What people are sent over time, sampled in their pages, and its picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from .person import Person

SAMPLE_MS = 200

START = """name => {
  globalThis.samples = [];
  setInterval(async () => {
    const person = [...meetCall.participants.values()].find((each) => each.username === name);
    if (!person?.media.camera || !person.media.microphone) return;
    const { subscribe } = await meetCall.stats();
    const of = (track) => subscribe.find((each) => each.type === 'inbound-rtp' && each.trackIdentifier === track.id);
    const video = of(person.media.camera), audio = of(person.media.microphone);
    if (!video || !audio) return;
    samples.push({
      at: Date.now() / 1000,
      bytes: subscribe.reduce((sum, each) => sum + (each.type === 'transport' ? each.bytesReceived : 0), 0),
      frames: video.framesDecoded ?? 0,
      layer: person.layers.camera?.current?.spatial ?? null,
      heard: audio.totalSamplesReceived ?? 0,
      concealed: audio.concealedSamples ?? 0,
    });
  }, SAMPLE_MS);
}""".replace("SAMPLE_MS", str(SAMPLE_MS))


@dataclass(frozen=True)
class Sample:
    """One moment of what somebody receives of somebody else."""

    at: float
    """Unix time."""
    rate_bps: float
    """Of all that came over the connection since the sample before."""
    frames: int
    """Decoded, since the beginning."""
    layer: int | None
    """The spatial layer that the server says it sends."""
    heard: int
    concealed: int
    """Samples of sound that were played, since the beginning, and of these such as had to be made up."""


class Timeline:
    """What `receiver` gets of `sender` from now on."""

    def __init__(self, receiver: Person, sender: Person) -> None:
        self.receiver = receiver
        receiver.page.evaluate(START, sender.name)

    def samples(self) -> list[Sample]:
        """Until now."""
        raw: list[dict[str, Any]] = self.receiver.page.evaluate("samples")
        return [
            Sample(
                at=now["at"],
                rate_bps=8 * (now["bytes"] - before["bytes"]) / max(0.001, now["at"] - before["at"]),
                **{name: now[name] for name in ("frames", "layer", "heard", "concealed")},
            )
            for before, now in pairwise(raw)
        ]


def changes(samples: Sequence[Sample]) -> list[tuple[float, int | None]]:
    """When another layer was sent, and which."""
    return [(now.at, now.layer) for before, now in pairwise(samples) if now.layer != before.layer]


def reversals(samples: Sequence[Sample]) -> list[float]:
    """When the layer turned round: up after it went down, or down after it went up."""
    moves = [
        (now.at, (-1 if now.layer is None else now.layer) > (-1 if before.layer is None else before.layer))
        for before, now in pairwise(samples)
        if now.layer != before.layer
    ]
    return [at for (_, up_before), (at, up) in pairwise(moves) if up != up_before]


WIDTH, LEFT, RIGHT = 960, 90, 20
RATES, LAYERS = (70, 270), (330, 490)
"""Top and bottom of the two parts."""
MOST_BPS = 3_000_000
COLOURS = ("#1f6feb", "#d1242f")


def picture(
    browser: Browser,
    path: Path,
    *,
    title: str,
    capacity: Sequence[tuple[float, float]],
    heights: Sequence[int],
    lines: dict[str, list[Sample]],
) -> None:
    """Draw who got what: the bit rates above, with what the link could carry, and below the size of the picture.

    `capacity` is when the link changed and to how many bit/s; `heights` are those of the layers, ascending.
    """
    begin = capacity[0][0]
    end = max(samples[-1].at for samples in lines.values())

    def x(at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (min(max(at, begin), end) - begin) / (end - begin)

    def rate_y(rate_bps: float) -> float:
        top, bottom = RATES
        return bottom - (bottom - top) * min(rate_bps, MOST_BPS) / MOST_BPS

    def layer_y(layer: int | None) -> float:
        top, bottom = LAYERS
        return bottom if layer is None else bottom - (bottom - top) / len(heights) * (1 + layer)

    parts = [
        f'<text x="{LEFT}" y="30" font-size="19" font-weight="600">{title}</text>',
        f'<text x="{LEFT}" y="56">received, Mbit/s; grey: what the link carries</text>',
        f'<text x="{LEFT}" y="316">layer sent, by the height of its picture</text>',
    ]
    edges = [*capacity, (end, capacity[-1][1])]
    for (at, rate_bps), (until, _) in pairwise(edges):
        top = rate_y(rate_bps)
        parts.append(
            f'<rect x="{x(at):.1f}" y="{top:.1f}" width="{x(until) - x(at):.1f}" height="{RATES[1] - top:.1f}" '
            'fill="#eaeef2"/>'
        )
    for rate_bps in range(0, MOST_BPS + 1, 1_000_000):
        parts.append(_rule(rate_y(rate_bps), str(rate_bps // 1_000_000)))
    for layer, height in enumerate(heights):
        parts.append(_rule(layer_y(layer), str(height)))
    parts.append(_rule(layer_y(None), "none"))
    for second in range(0, int(end - begin) + 1, 5):
        parts.append(f'<text x="{x(begin + second):.1f}" y="{LAYERS[1] + 24}" text-anchor="middle">{second} s</text>')
    for number, (name, samples) in enumerate(lines.items()):
        colour = COLOURS[number]
        rates = " ".join(f"{x(each.at):.1f},{rate_y(each.rate_bps):.1f}" for each in samples if each.at >= begin)
        sizes = _steps([(x(each.at), layer_y(each.layer) - 3 * number) for each in samples if each.at >= begin])
        for points in (rates, sizes):
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts.append(
            f'<text x="{WIDTH - RIGHT}" y="{30 + 22 * number}" text-anchor="end" fill="{colour}">{name}</text>'
        )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="530" font-family="sans-serif" '
        f'font-size="14" fill="#1f2328"><rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>'
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    page = browser.new_page(viewport={"width": WIDTH, "height": 530})
    page.set_content(f'<body style="margin:0">{svg}</body>')
    page.screenshot(path=path)
    page.close()


def _rule(y: float, label: str) -> str:
    return (
        f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#d0d7de"/>'
        f'<text x="{LEFT - 10}" y="{y + 5:.1f}" text-anchor="end">{label}</text>'
    )


def _steps(points: Sequence[tuple[float, float]]) -> str:
    """Points of a line that keeps its height until the next one."""
    corners = [points[0]]
    for (_, before), (x, y) in pairwise(points):
        corners += [(x, before), (x, y)]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
