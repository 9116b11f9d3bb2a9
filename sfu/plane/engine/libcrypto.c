#include "libcrypto.h"

#include <dlfcn.h>
#include <string.h>

struct libcrypto libcrypto;

#if defined(MEET_COMPARE_HEADERS)
#define SAME(field, function)                                                                                       \
    _Static_assert(__builtin_types_compatible_p(__typeof__(libcrypto.field), __typeof__(&(function))),              \
                   #function " is declared otherwise by OpenSSL")
SAME(ctx_new, EVP_CIPHER_CTX_new);
SAME(ctx_free, EVP_CIPHER_CTX_free);
SAME(ctx_ctrl, EVP_CIPHER_CTX_ctrl);
SAME(aes_128_gcm, EVP_aes_128_gcm);
SAME(encrypt_init, EVP_EncryptInit_ex);
SAME(encrypt_update, EVP_EncryptUpdate);
SAME(encrypt_final, EVP_EncryptFinal_ex);
SAME(decrypt_init, EVP_DecryptInit_ex);
SAME(decrypt_update, EVP_DecryptUpdate);
SAME(decrypt_final, EVP_DecryptFinal_ex);
_Static_assert(GET_TAG == EVP_CTRL_AEAD_GET_TAG && SET_TAG == EVP_CTRL_AEAD_SET_TAG, "other numbers in OpenSSL");
#endif

/* Store a function in a pointer of its type: ISO C has no cast from dlsym's void pointer. */
static int look_up(void *library, const char *name, void *function) {
    void *found = dlsym(library, name);
    memcpy(function, &found, sizeof found);
    return found != NULL;
}

const char *libcrypto_load(void) {
    /* Never closed. Python's own `ssl` mostly has it loaded already, and then it is the same copy. */
    void *library = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) return "libcrypto.so.3 (OpenSSL 3) is not there";
    int found = look_up(library, "EVP_CIPHER_CTX_new", &libcrypto.ctx_new) &&
                look_up(library, "EVP_CIPHER_CTX_free", &libcrypto.ctx_free) &&
                look_up(library, "EVP_CIPHER_CTX_ctrl", &libcrypto.ctx_ctrl) &&
                look_up(library, "EVP_aes_128_gcm", &libcrypto.aes_128_gcm) &&
                look_up(library, "EVP_EncryptInit_ex", &libcrypto.encrypt_init) &&
                look_up(library, "EVP_EncryptUpdate", &libcrypto.encrypt_update) &&
                look_up(library, "EVP_EncryptFinal_ex", &libcrypto.encrypt_final) &&
                look_up(library, "EVP_DecryptInit_ex", &libcrypto.decrypt_init) &&
                look_up(library, "EVP_DecryptUpdate", &libcrypto.decrypt_update) &&
                look_up(library, "EVP_DecryptFinal_ex", &libcrypto.decrypt_final);
    return found ? NULL : "libcrypto.so.3 lacks a function of OpenSSL 3";
}
