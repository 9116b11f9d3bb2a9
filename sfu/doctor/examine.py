"""All checks, and what is printed of them."""

from __future__ import annotations

import asyncio

from meet.config import Settings
from sfu.doctor.finding import Verdict
from sfu.doctor.machine import check_machine
from sfu.doctor.network import check_network
from sfu.doctor.services import check_services


async def examine(chosen: Settings) -> int:
    """Print each finding; the exit status: 1 where one is bad."""
    about = asyncio.gather(check_network(chosen), check_services(chosen))
    findings = check_machine()
    for more in await about:
        findings += more
    for finding in findings:
        print(finding)
    return int(any(finding.verdict is Verdict.BAD for finding in findings))
