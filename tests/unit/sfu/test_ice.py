import pytest
from aioice import stun as aioice_stun

from sfu import stun
from sfu.ice import CONSENT_S, HOLD_S, MAX_ADDRESSES, IceCredentials, IceLite

WIFI, MOBILE = ("192.0.2.1", 1000), ("198.51.100.7", 2000)


def check(credentials: IceCredentials, *, nominate: bool = False, **attributes: object) -> stun.Message:
    message = aioice_stun.Message(aioice_stun.Method.BINDING, aioice_stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{credentials.ufrag}:remote"
    message.attributes.update({name.replace("_", "-"): value for name, value in attributes.items()})
    if nominate:
        message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(credentials.password.encode())
    parsed = stun.parse(bytes(message))
    assert parsed is not None
    return parsed


def hear(
    ice: IceLite, address: tuple[str, int], now: float, *, nominate: bool = False, **attributes: object
) -> bytes:
    request = check(ice.credentials, nominate=nominate, **attributes)
    password = ice.password_for(request)
    assert password is not None
    return ice.answer(request, password, address, now)


def test_credentials_are_as_long_as_rfc_8445_asks_and_differ() -> None:
    one, other = IceCredentials(), IceCredentials()
    assert one != other
    assert len(one.ufrag) >= 4
    assert len(one.password) >= 22
    assert one.password not in repr(one)


def test_only_our_password_authenticates() -> None:
    ice = IceLite()
    assert ice.password_for(check(ice.credentials)) == ice.credentials.password
    assert ice.password_for(check(IceCredentials(ice.credentials.ufrag, "wrong"))) is None
    assert ice.password_for(check(IceCredentials("nobody", ice.credentials.password))) is None


def test_the_first_valid_check_selects_and_a_nomination_moves() -> None:
    ice = IceLite()
    hear(ice, WIFI, 0.0)
    assert ice.selected == WIFI
    hear(ice, MOBILE, 1.0)
    assert ice.selected == WIFI
    hear(ice, MOBILE, 2.0, nominate=True)
    assert ice.selected == MOBILE
    hear(ice, WIFI, 3.0)
    assert ice.selected == MOBILE
    assert set(ice.addresses) == {WIFI, MOBILE}


def test_a_check_without_priority_is_answered() -> None:
    answer = aioice_stun.parse_message(hear(IceLite(), WIFI, 0.0, nominate=True))
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == WIFI


def test_a_peer_that_thinks_it_is_controlled_is_told_otherwise() -> None:
    ice = IceLite()
    refusal = ice.refusal(check(ice.credentials, ICE_CONTROLLED=1), ice.credentials.password)
    assert refusal is not None
    assert aioice_stun.parse_message(refusal).attributes["ERROR-CODE"][0] == 487
    assert ice.refusal(check(ice.credentials, ICE_CONTROLLING=1), ice.credentials.password) is None


def test_consent_lasts_30_seconds_from_the_last_check_of_the_selected_address() -> None:
    ice = IceLite()
    assert ice.consent_expired(0.0)
    hear(ice, WIFI, 100.0)
    hear(ice, MOBILE, 120.0)
    assert not ice.consent_expired(100.0 + CONSENT_S - 0.1)
    assert ice.consent_expired(100.0 + CONSENT_S)
    assert ice.silent_for(130.0) == 10.0
    hear(ice, MOBILE, 131.0)
    assert ice.selected == MOBILE
    assert not ice.consent_expired(131.0)


def test_an_address_is_held_while_its_checks_go_on() -> None:
    ice = IceLite()
    hear(ice, WIFI, 100.0)
    assert ice.holds(WIFI, 100.0 + HOLD_S - 0.1)
    assert not ice.holds(WIFI, 100.0 + HOLD_S)
    assert not ice.holds(MOBILE, 100.0)


def test_a_forgotten_address_is_not_selected() -> None:
    ice = IceLite()
    hear(ice, WIFI, 0.0)
    ice.forget(WIFI)
    assert ice.selected is None
    hear(ice, MOBILE, 1.0)
    assert ice.selected == MOBILE


def test_addresses_are_bounded_and_the_selected_one_stays() -> None:
    ice = IceLite()
    hear(ice, WIFI, 0.0, nominate=True)
    dropped = []
    for n in range(MAX_ADDRESSES + 3):
        hear(ice, ("203.0.113.9", n), 1.0 + n)
        dropped.append(ice.surplus())
    assert len(ice.addresses) == MAX_ADDRESSES
    assert ice.selected == WIFI
    assert WIFI in ice.addresses
    assert [address for address in dropped if address is not None] == [("203.0.113.9", n) for n in range(4)]


def test_the_former_credentials_serve_until_the_fresh_ones_are_used() -> None:
    ice = IceLite()
    former = ice.credentials
    ice.restart()
    assert ice.ufrags == (ice.credentials.ufrag, former.ufrag)
    assert ice.password_for(check(former)) == former.password
    hear(ice, WIFI, 0.0)
    assert ice.ufrags == (ice.credentials.ufrag,)
    assert ice.password_for(check(former)) is None


@pytest.mark.parametrize("name", ["", "x", ":", "\xff:"])
def test_any_user_name_is_read(name: str) -> None:
    ice = IceLite()
    assert ice.password_for(check(IceCredentials(name, ice.credentials.password))) is None
