"""`python -m …compose tidy QUESTION ANSWER` or `… paint PLAN`: the children of `child`, in the folder of the job."""

from __future__ import annotations

import sys
from pathlib import Path

from .lines import adapters
from .paint import paint
from .plan import Plan
from .tidy import tidy


def main(arguments: list[str]) -> None:
    """Do one of the two."""
    here = Path.cwd()
    match arguments:
        case ["tidy", question, answer]:
            asked, found = adapters()
            lines = asked.validate_json((here / question).read_bytes())
            (here / answer).write_bytes(found.dump_json(tidy(lines, here)))
        case ["paint", plan]:
            paint(Plan.from_json((here / plan).read_bytes()), here, sys.stdout.buffer)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
