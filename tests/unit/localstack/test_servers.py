"""The ports that the servers get."""

import socket
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent.parent


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`localstack/servers.py`, which is in no package."""
    monkeypatch.syspath_prepend(str(ROOT / "localstack"))
    import servers

    return servers


def test_both_ports_of_a_pair_are_free(servers: ModuleType) -> None:
    port = servers.free_port_below(10_000)
    with socket.create_server((servers.LOOPBACK, port)), socket.create_server((servers.LOOPBACK, port + 10_000)):
        pass


def test_a_pair_is_sought_until_both_are_free(servers: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first port found has a neighbour in use, the second none that exists, the third is free."""
    bind = socket.socket.bind
    third = servers.free_port_below(10_000)
    with socket.socket() as taken:
        first = servers.free_port_below(10_000)
        taken.bind((servers.LOOPBACK, first + 10_000))
        candidates = iter([first, 65_000, third])
        tried = []

        def bind_next(one: socket.socket, address: tuple[str, int]) -> None:
            if address[1] == 0:
                address = (address[0], next(candidates))
                tried.append(address[1])
            bind(one, address)

        monkeypatch.setattr(socket.socket, "bind", bind_next)
        assert servers.free_port_below(10_000) == third
    assert tried == [first, 65_000, third]


def test_the_storage_s_worker_finds_its_admin(
    servers: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker knows of the admin's HTTP port alone, and adds 10000."""
    monkeypatch.setattr(servers, "_installed", lambda _, path: path)
    given = dict(
        option.removeprefix("-").split("=")
        for option in map(str, servers.seaweedfs(tmp_path, 1).command)
        if "=" in option
    )
    assert int(given["admin.port.grpc"]) == int(given["admin.port"]) + 10_000
    ports = [value for name, value in given.items() if ".port" in name and value != "0"]
    assert len(set(ports)) == len(ports)
