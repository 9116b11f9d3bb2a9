"""What a check found."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What it means for calls."""

    OK = "ok"
    DOUBT = "doubt"
    """Some will not get through, or it can't be told from here."""
    BAD = "BAD"
    """Nothing works as long as it is so."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence or two, with the cure where it isn't well."""

    verdict: Verdict
    text: str

    def __str__(self) -> str:
        return f"{self.verdict.value:<6}{self.text}"


def ok(text: str) -> Finding:
    """All is well."""
    return Finding(Verdict.OK, text)


def doubt(text: str) -> Finding:
    """It may not be."""
    return Finding(Verdict.DOUBT, text)


def bad(text: str) -> Finding:
    """It is not."""
    return Finding(Verdict.BAD, text)
