"""Nodes in Redis: what is written is read, who left is forgotten, who died is told of once."""

from datetime import UTC, datetime, timedelta

from fakeredis import FakeRedis

from meet.domain.inference import Failover, Function, InferenceNode, LoadedModel, Tally
from meet.fleet import Fleet, decode, encode, inbox

NOW = datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def node(node_id: str, heard: datetime = NOW) -> InferenceNode:
    return InferenceNode(
        node_id,
        "host:7",
        started_at=NOW,
        last_heartbeat=heard,
        functions=(Function.TRANSLATION,),
        available=("a", "b"),
        obtainable=("c",),
        lacking={"d": "install d"},
        loaded=(LoadedModel("a", 5, load_time=NOW, requests=3), LoadedModel("b", 7, "loading", progress=0.5)),
        memory_bytes=100,
        gpu_percent=12.5,
        total=Tally(4, 1, 1, 2.5),
        minute=Tally(1),
    )


def test_what_is_written_is_read() -> None:
    assert decode(encode(node("n1"))) == node("n1")
    newer = encode(node("n1")).replace('"address"', '"unheard_of":1,"address"')
    assert decode(newer) == node("n1")
    assert inbox("n1") != "n1"


def test_nodes_are_listed_until_they_leave() -> None:
    fleet = Fleet(FakeRedis())
    assert fleet.nodes() == []
    fleet.announce(node("n2", NOW - timedelta(seconds=60)))
    fleet.announce(node("n1"))
    assert [each.node_id for each in fleet.nodes()] == ["n1", "n2"]
    assert [each.node_id for each in fleet.online(NOW)] == ["n1"]
    fleet.leave("n1")
    assert [each.node_id for each in fleet.nodes()] == ["n2"]
    assert fleet.node("n1") is None
    assert fleet.node("n2") == node("n2", NOW - timedelta(seconds=60))


def test_a_node_that_is_silent_for_a_day_is_forgotten() -> None:
    fleet = Fleet(FakeRedis())
    fleet.announce(node("n2", NOW - timedelta(days=2)))
    fleet.announce(node("n1"))
    assert [each.node_id for each in fleet.nodes()] == ["n1"]


def test_one_death_is_one_event_however_many_requests_it_concerns() -> None:
    fleet = Fleet(FakeRedis())
    dead = node("n1")
    fleet.took_over(dead, "n2", at=NOW + timedelta(seconds=16))
    fleet.took_over(dead, "n3", at=NOW + timedelta(seconds=18))
    assert fleet.failovers() == [
        Failover("failover-n1", "n1", "n2", NOW + timedelta(seconds=16), recovery_s=18.0, affected_requests=2)
    ]
    fleet.took_over(node("n4"), "n2", at=NOW + timedelta(seconds=20))
    assert [each.failed_node for each in fleet.failovers()] == ["n4", "n1"]
    assert [each.failed_node for each in fleet.failovers(most=1)] == ["n4"]
