from sfu.plane.derivation import RTP_KEY, RTP_SALT, aead_keys, derive

MASTER_KEY = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139")
MASTER_SALT = bytes.fromhex("0EC675AD498AFEEBB6960B3AABE6")


def test_the_vectors_of_rfc_3711_appendix_b_3() -> None:
    assert derive(MASTER_KEY, MASTER_SALT, RTP_KEY, 16).hex().upper() == "C61E7A93744F39EE10734AFE3FF7A087"
    assert derive(MASTER_KEY, MASTER_SALT, RTP_SALT, 14).hex().upper() == "30CBBC08863D8C85D49DB34A9AE1"
    authentication = derive(MASTER_KEY, MASTER_SALT, 0x01, 94)
    assert authentication.hex().upper().startswith("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE")


def test_an_aead_salt_counts_as_14_bytes_with_zeros_behind() -> None:
    keys = aead_keys(MASTER_KEY, MASTER_SALT[:12])
    padded = MASTER_SALT[:12] + bytes(2)
    assert keys.rtp_key == derive(MASTER_KEY, padded, 0, 16)
    assert keys.rtp_salt == derive(MASTER_KEY, padded, 2, 12)
    assert keys.rtcp_key == derive(MASTER_KEY, padded, 3, 16)
    assert keys.rtcp_salt == derive(MASTER_KEY, padded, 5, 12)


def test_no_key_gets_into_a_log() -> None:
    assert MASTER_KEY[:2].hex() not in repr(aead_keys(MASTER_KEY, MASTER_SALT[:12]))
