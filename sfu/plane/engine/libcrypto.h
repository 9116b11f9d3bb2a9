/* AES-GCM by OpenSSL's libcrypto 3, found when the module is loaded.
 *
 * Nothing of OpenSSL is needed to build. `cryptography` brings an OpenSSL of its own and shows no symbol of it, and
 * Debian's headers would be one more package on every machine that compiles. So the few functions are declared here
 * and looked up by name. They have been the same since OpenSSL 1.1, and their ABI is fixed for all of 3.x. Where the
 * headers are there (in our own check) the compiler compares these declarations with them.
 */
#ifndef MEET_LIBCRYPTO_H
#define MEET_LIBCRYPTO_H

#include <stddef.h>

#if defined(MEET_COMPARE_HEADERS)
#include <openssl/evp.h>
#else
typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_cipher_st EVP_CIPHER;
typedef struct engine_st ENGINE;
#endif

/* openssl/evp.h: EVP_CTRL_AEAD_GET_TAG and EVP_CTRL_AEAD_SET_TAG */
enum { GET_TAG = 0x10, SET_TAG = 0x11 };

struct libcrypto {
    EVP_CIPHER_CTX *(*ctx_new)(void);
    void (*ctx_free)(EVP_CIPHER_CTX *);
    int (*ctx_ctrl)(EVP_CIPHER_CTX *, int type, int number, void *data);
    const EVP_CIPHER *(*aes_128_gcm)(void);
    int (*encrypt_init)(EVP_CIPHER_CTX *, const EVP_CIPHER *, ENGINE *, const unsigned char *key,
                        const unsigned char *iv);
    int (*encrypt_update)(EVP_CIPHER_CTX *, unsigned char *out, int *written, const unsigned char *in, int size);
    int (*encrypt_final)(EVP_CIPHER_CTX *, unsigned char *out, int *written);
    int (*decrypt_init)(EVP_CIPHER_CTX *, const EVP_CIPHER *, ENGINE *, const unsigned char *key,
                        const unsigned char *iv);
    int (*decrypt_update)(EVP_CIPHER_CTX *, unsigned char *out, int *written, const unsigned char *in, int size);
    int (*decrypt_final)(EVP_CIPHER_CTX *, unsigned char *out, int *written);
};

extern struct libcrypto libcrypto;

/* Fill `libcrypto`. NULL, or what is missing in words. */
const char *libcrypto_load(void);

#endif
