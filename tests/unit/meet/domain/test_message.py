from datetime import UTC, datetime, timedelta
from uuid import UUID

from meet.domain.message import message_id, without_secrets

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_message_ids_are_uuids_of_version_7_that_sort_by_time_then_by_sequence() -> None:
    ids = [message_id(AT, 1), message_id(AT, 2), message_id(AT, 4095), message_id(AT + timedelta(milliseconds=1), 0)]
    assert ids == sorted(ids)
    parsed = UUID(ids[0])
    assert parsed.version == 7
    assert parsed.variant == "specified in RFC 4122"
    assert parsed.int >> 80 == int(AT.timestamp() * 1000)


def test_message_ids_differ_even_at_one_moment_and_sequence() -> None:
    assert len({message_id(AT, 3) for _ in range(100)}) == 100


def test_ice_passwords_and_sdes_keys_are_cut_out_wherever_they_are() -> None:
    sdp = "v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:secretsecretsecretsecret\r\na=mid:0\r\n"
    cut = "v=0\r\na=ice-ufrag:abcd\r\na=mid:0\r\n"
    assert without_secrets({"sdp": sdp}) == {"sdp": cut}
    assert without_secrets({"sdp": {"type": "offer", "sdp": sdp}}) == {"sdp": {"type": "offer", "sdp": cut}}
    assert without_secrets([sdp, 3, None, True]) == [cut, 3, None, True]


def test_secrets_are_found_in_any_case_line_ending_and_at_the_end() -> None:
    assert without_secrets("v=0\nA=ICE-PWD:x\nm=audio") == "v=0\nm=audio"
    assert without_secrets("v=0\ra=ice-pwd:x\rm=audio") == "v=0\rm=audio"
    assert without_secrets("v=0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:key") == "v=0\n"
    assert without_secrets("we say a=ice-pwd:x in a sentence") == "we say a=ice-pwd:x in a sentence"
