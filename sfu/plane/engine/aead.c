#include "aead.h"

#include <string.h>

#include "wire.h"

int aead_sealer(struct aead *aead, const uint8_t *key, const uint8_t *salt) {
    memcpy(aead->salt, salt, AEAD_SALT);
    aead->cipher = libcrypto.ctx_new();
    if (aead->cipher == NULL) return -1;
    return libcrypto.encrypt_init(aead->cipher, libcrypto.aes_128_gcm(), NULL, key, NULL) == 1 ? 0 : -1;
}

int aead_opener(struct aead *aead, const uint8_t *key, const uint8_t *salt) {
    memcpy(aead->salt, salt, AEAD_SALT);
    aead->cipher = libcrypto.ctx_new();
    if (aead->cipher == NULL) return -1;
    return libcrypto.decrypt_init(aead->cipher, libcrypto.aes_128_gcm(), NULL, key, NULL) == 1 ? 0 : -1;
}

void aead_close(struct aead *aead) {
    if (aead->cipher != NULL) libcrypto.ctx_free(aead->cipher);
    aead->cipher = NULL;
}

static void write_nonce(const struct aead *aead, uint32_t ssrc, uint64_t index, uint8_t nonce[AEAD_SALT]) {
    put16(nonce, 0);
    put32(nonce + 2, ssrc);
    put16(nonce + 6, (uint32_t)(index >> 32));
    put32(nonce + 8, (uint32_t)index);
    for (int i = 0; i < AEAD_SALT; i++) nonce[i] ^= aead->salt[i];
}

int aead_seal(struct aead *aead, uint32_t ssrc, uint64_t index, const struct piece associated[2],
              const struct piece plain[2], uint8_t *out) {
    uint8_t nonce[AEAD_SALT];
    int written = 0;
    write_nonce(aead, ssrc, index, nonce);
    if (libcrypto.encrypt_init(aead->cipher, NULL, NULL, NULL, nonce) != 1) return -1;
    for (int i = 0; i < 2; i++) {
        if (associated[i].size == 0) continue;
        if (libcrypto.encrypt_update(aead->cipher, NULL, &written, associated[i].at, (int)associated[i].size) != 1)
            return -1;
    }
    for (int i = 0; i < 2; i++) {
        if (plain[i].size == 0) continue;
        if (libcrypto.encrypt_update(aead->cipher, out, &written, plain[i].at, (int)plain[i].size) != 1) return -1;
        out += plain[i].size;
    }
    if (libcrypto.encrypt_final(aead->cipher, out, &written) != 1) return -1;
    return libcrypto.ctx_ctrl(aead->cipher, GET_TAG, AEAD_TAG, out) == 1 ? 0 : -1;
}

int aead_open(struct aead *aead, uint32_t ssrc, uint64_t index, const struct piece associated[2],
              const uint8_t *sealed, size_t size, uint8_t *out) {
    uint8_t nonce[AEAD_SALT], tag[AEAD_TAG], nothing[1];
    int written = 0;
    size -= AEAD_TAG;
    memcpy(tag, sealed + size, AEAD_TAG);
    write_nonce(aead, ssrc, index, nonce);
    if (libcrypto.decrypt_init(aead->cipher, NULL, NULL, NULL, nonce) != 1) return -1;
    if (libcrypto.ctx_ctrl(aead->cipher, SET_TAG, AEAD_TAG, tag) != 1) return -1;
    for (int i = 0; i < 2; i++) {
        if (associated[i].size == 0) continue;
        if (libcrypto.decrypt_update(aead->cipher, NULL, &written, associated[i].at, (int)associated[i].size) != 1)
            return -1;
    }
    if (size != 0 && libcrypto.decrypt_update(aead->cipher, out, &written, sealed, (int)size) != 1) return -1;
    return libcrypto.decrypt_final(aead->cipher, nothing, &written) == 1 ? 0 : -1;
}
