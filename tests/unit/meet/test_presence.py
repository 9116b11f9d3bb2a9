from fakeredis import FakeAsyncRedis, FakeRedis

from meet.presence import HOME_TTL_S, AsyncPresence, NodeSnapshot, Presence, RoomSnapshot, decode_room, encode


def node(node_id: str) -> NodeSnapshot:
    return NodeSnapshot(node_id, "http://127.0.0.1:1", "2025-10-05T12:00:00Z", rooms=0, clients=0)


def test_the_home_of_a_room_is_a_node_that_lives() -> None:
    redis = FakeRedis()
    presence = Presence(redis)
    assert presence.home(123) is None
    redis.set("home:123", "node-1")
    assert presence.home(123) is None
    redis.set("node:node-1", encode(node("node-1")))
    assert presence.home(123) == "node-1"
    assert presence.room(123) is None


def test_a_snapshot_of_a_newer_version_is_read() -> None:
    room = RoomSnapshot(123, "m", "node-1", created_at="2025-10-05T12:00:00Z", total_messages=0)
    newer = encode(room).replace('"meeting_id"', '"unheard_of":1,"meeting_id"')
    assert decode_room(newer) == room
    assert room.room_id == "meeting-123"


async def test_the_first_candidate_that_lives_is_the_home() -> None:
    redis = FakeAsyncRedis()
    presence = AsyncPresence(redis)
    assert await presence.place(123, ["node-1"]) is None
    await presence.publish(node("node-2"), [], now=0)
    assert await presence.place(123, ["node-1", "node-2"]) == "node-2"
    await presence.publish(node("node-1"), [], now=0)
    assert await presence.place(123, ["node-1", "node-2"]) == "node-2"


async def test_a_home_is_forgotten_unless_its_room_is_published() -> None:
    redis = FakeAsyncRedis()
    presence = AsyncPresence(redis)
    await presence.publish(node("node-1"), [], now=0)
    await presence.place(123, ["node-1"])
    assert 0 < await redis.ttl("home:123") <= HOME_TTL_S
    await redis.expire("home:123", 1)
    room = RoomSnapshot(123, "m", "node-1", created_at="2025-10-05T12:00:00Z", total_messages=0)
    await presence.publish(node("node-1"), [room], now=0)
    assert await redis.ttl("home:123") > HOME_TTL_S // 2
