"""The page is committed built, since a fresh machine has no Node; it must be what the sources build."""

import re
from hashlib import sha256
from pathlib import Path

WEB = Path(__file__).parents[4] / "sfu" / "web"


def test_dist_was_built_from_these_sources() -> None:
    names = ["index.html", "package-lock.json", "package.json", "vite.config.js"]
    names += [path.relative_to(WEB).as_posix() for path in (WEB / "src").rglob("*") if path.is_file()]
    digest = sha256()
    for name in sorted(names):
        digest.update(name.encode() + b"\0" + (WEB / name).read_bytes() + b"\0")
    assert (WEB / "dist" / "sources.sha256").read_text().strip() == digest.hexdigest(), (
        "the page's sources changed: run `npm ci && npm run build` in sfu/web and commit dist"
    )


def test_every_asset_that_the_page_names_is_there() -> None:
    page = (WEB / "dist" / "index.html").read_text()
    assets = re.findall(r'(?:src|href)="(/[^"]+)"', page)
    assert len(assets) >= 2
    assert all((WEB / "dist" / asset.lstrip("/")).is_file() for asset in assets)


def test_the_protocol_module_is_free_of_the_framework() -> None:
    for path in (WEB / "src" / "client").rglob("*.js"):
        assert not re.search(r"preact|document\.", path.read_text()), path.name
