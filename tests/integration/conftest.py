"""What `sam build` makes of the template, built once a session."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, clean_environment

SAM = ROOT / ".venvs" / "sam" / "bin" / "sam"
RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"


def sam(*arguments: str | Path, home: Path) -> str:
    """Run SAM CLI, which must succeed; what it said."""
    env = clean_environment() | {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "SAM_CLI_TELEMETRY": "0",
    }
    done = subprocess.run(
        [SAM, *arguments], env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with each function and layer as it would be deployed, made for the Python that runs the tests."""
    folder = tmp_path_factory.mktemp("sam")
    (folder / "infra").mkdir()
    for path in (ROOT / "template.yaml", *(ROOT / "infra").glob("*.yaml")):
        (folder / path.relative_to(ROOT)).write_text(path.read_text().replace("python3.11", RUNTIME))
    template, output = folder / "template.yaml", folder / "built"
    cache = ROOT / ".cache" / "sam"  # the dependencies' layer is built anew only when its requirements change
    where = ("--template", template, "--base-dir", ROOT, "--build-dir", output)
    sam("build", *where, "--cached", "--cache-dir", cache, home=folder)
    return output
