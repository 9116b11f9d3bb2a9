/* AEAD_AES_128_GCM as SRTP and SRTCP use it (RFC 7714): one key, its salt, and a cipher that is kept.
 *
 * The nonce of section 8.1 (two zero bytes, SSRC, rollover counter, sequence number) and the one of section 9.1 (two
 * zero bytes, SSRC, two zero bytes, SRTCP index) are both two zero bytes, the SSRC, and an index of 48 bits.
 */
#ifndef MEET_AEAD_H
#define MEET_AEAD_H

#include <stddef.h>
#include <stdint.h>

#include "libcrypto.h"

enum { AEAD_KEY = 16, AEAD_SALT = 12, AEAD_TAG = 16 };

struct aead {
    EVP_CIPHER_CTX *cipher;
    uint8_t salt[AEAD_SALT];
};

struct piece {
    const uint8_t *at;
    size_t size;
};

/* Both are given AEAD_KEY and AEAD_SALT bytes; -1 where libcrypto has no room. End with `aead_close`. */
int aead_sealer(struct aead *, const uint8_t *key, const uint8_t *salt);
int aead_opener(struct aead *, const uint8_t *key, const uint8_t *salt);
void aead_close(struct aead *);

/* Write the ciphertext of two pieces, one behind the other, and its tag: AEAD_TAG bytes more than both have. What is
 * authenticated and not encrypted is in two pieces too. 0, or -1 where libcrypto fails. */
int aead_seal(struct aead *, uint32_t ssrc, uint64_t index, const struct piece associated[2],
              const struct piece plain[2], uint8_t *out);

/* Write the plaintext of `size` bytes with their tag at the end, AEAD_TAG bytes fewer; `size` is no less than that.
 * 0, or -1 where it is not authentic: what was written then means nothing. */
int aead_open(struct aead *, uint32_t ssrc, uint64_t index, const struct piece associated[2], const uint8_t *sealed,
              size_t size, uint8_t *out);

#endif
