/* See lgcore.h; core.py builds it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <srtp2/srtp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "lgcore.h"

#define MAGIC 0x4c473031u /* "LG01" */
#define TRAILER 20        /* magic, stream idx, packet idx, t_ns */
#define BATCH 64
#define BUF 1600
#define MAXRX 128
#define RING 1024
#define HSUB 64
#define HOCT 34

typedef struct { /* one received SSRC */
    uint32_t ssrc;
    int used, kind, pt, started;
    uint64_t hi, base; /* extended sequence numbers */
    uint64_t seen[RING / 64];
    uint64_t win_rx, win_lost;
    uint64_t total;
    uint32_t sr_mid;
    uint64_t sr_at;
    uint64_t miss[RING]; /* time the NACK for this slot was last sent, 0 = not missing */
    uint8_t tries[RING];
    uint64_t rr_expected, rr_received;
} rxs;

typedef struct { /* one sent stream */
    lg_tx c;
    uint16_t seq;
    uint32_t ts0;
    uint32_t idx;
    uint16_t picid;
    uint16_t rtx_seq;
    uint64_t next_frame;
    int left, n_in_frame;
    int frame_pkt;
    uint64_t next_pkt;
    uint32_t frame_ts;
    int key, key_req, clip_i, clip_pos;
    uint64_t frame_no;
    uint64_t t_start;
    uint64_t pkts, bytes;
    uint8_t (*hist)[BUF];
    int histlen[RING];
    uint16_t histseq[RING];
} txs;

typedef struct {
    int id, fd, sub, closed, state, verify;
    char lufrag[16], lpwd[40], rufrag[260], rpwd[260], uname[540];
    struct sockaddr_in raddr;
    int have_remote, controlling, dtls_client;
    uint8_t rfp[32], tie[8];
    uint64_t next_check, next_dtls, next_rtcp, next_twcc;
    int ice_ok;
    SSL *ssl;
    const uint8_t *in;
    int inlen;
    srtp_t rx, tx;
    const char *profile;
    txs *t;
    int nt;
    uint16_t twcc_seq;
    rxs *r;
    rxs *last;
    int ext_twcc, rtx_pt, nack, remb_kbps;
    uint32_t my_ssrc;
    uint64_t win_rx;
    /* transport-cc receive side */
    struct {
        uint16_t seq;
        uint64_t t;
    } tw[512];
    int ntw;
    uint8_t fbcnt;
    uint32_t tw_ssrc;
    uint64_t t_base;
} peer;

struct lg {
    pthread_mutex_t mu;
    int ep, np, cap, media, verify_every;
    peer **p;
    struct in_addr bind_ip;
    SSL_CTX *ctx;
    char fp[96];
    double loss;
    uint64_t w0, w1, next_tick, rnd;
    uint8_t *clip;
    int *clip_off, *clip_len, clip_n;
    lg_stats s;
    uint64_t *hist;
    double lat_sum, lat_max;
    struct mmsghdr mm[BATCH];
    struct iovec iov[BATCH];
    uint8_t buf[BATCH][BUF];
    struct sockaddr_in from[BATCH];
    uint8_t ctl[BATCH][128];
};

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}
uint64_t lg_now(void) { return now_ns(); }
static void w16(uint8_t *p, uint32_t v) {
    p[0] = v >> 8;
    p[1] = v;
}
static void w32(uint8_t *p, uint32_t v) {
    p[0] = v >> 24;
    p[1] = v >> 16;
    p[2] = v >> 8;
    p[3] = v;
}
static void w64(uint8_t *p, uint64_t v) {
    w32(p, v >> 32);
    w32(p + 4, v);
}
static uint32_t r16(const uint8_t *p) { return p[0] << 8 | p[1]; }
static uint32_t r32(const uint8_t *p) { return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]; }
static uint64_t r64(const uint8_t *p) { return (uint64_t)r32(p) << 32 | r32(p + 4); }
static double rnd01(lg *g) {
    g->rnd ^= g->rnd << 13;
    g->rnd ^= g->rnd >> 7;
    g->rnd ^= g->rnd << 17;
    return (g->rnd >> 11) / 9007199254740992.0;
}
static void rnd_str(char *o, int n) {
    static const char a[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    uint8_t b[64];
    RAND_bytes(b, n);
    for (int i = 0; i < n; i++) o[i] = a[b[i] % 62];
    o[n] = 0;
}

/* ---------------------------------------------------------------- STUN */
static uint32_t crc_tab[256];
static uint32_t crc32_(const uint8_t *p, int n) {
    uint32_t c = ~0u;
    while (n--) c = crc_tab[(c ^ *p++) & 255] ^ c >> 8;
    return ~c;
}
static void crc_init(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xEDB88320u ^ c >> 1 : c >> 1;
        crc_tab[i] = c;
    }
}

static int stun_attr(uint8_t *m, int n, int type, const void *v, int len) {
    w16(m + n, type);
    w16(m + n + 2, len);
    memcpy(m + n + 4, v, len);
    int pad = (4 - len % 4) % 4;
    memset(m + n + 4 + len, 0, pad);
    return n + 4 + len + pad;
}
static int stun_finish(uint8_t *m, int n, const char *pwd) {
    uint8_t mac[20];
    unsigned ml = 20;
    w16(m + 2, n - 20 + 24);
    HMAC(EVP_sha1(), pwd, strlen(pwd), m, n, mac, &ml);
    n = stun_attr(m, n, 0x0008, mac, 20);
    uint8_t f[4];
    w16(m + 2, n - 20 + 8);
    w32(f, crc32_(m, n) ^ 0x5354554e);
    return stun_attr(m, n, 0x8028, f, 4);
}
static void raw_send(lg *g, peer *p, const void *b, int n) {
    if (sendto(p->fd, b, n, 0, (struct sockaddr *)&p->raddr, sizeof p->raddr) < 0) g->s.send_errors++;
}
static void ice_check(lg *g, peer *p) {
    uint8_t m[700];
    w16(m, 1);
    w32(m + 4, 0x2112A442);
    RAND_bytes(m + 8, 12);
    int n = 20;
    uint8_t prio[4];
    w32(prio, 0x6e7f1eff);
    n = stun_attr(m, n, 0x0006, p->uname, strlen(p->uname));
    n = stun_attr(m, n, 0x0024, prio, 4);
    n = stun_attr(m, n, p->controlling ? 0x802A : 0x8029, p->tie, 8);
    if (p->controlling) n = stun_attr(m, n, 0x0025, "", 0);
    n = stun_finish(m, n, p->rpwd);
    raw_send(g, p, m, n);
}
static void dtls_kick(lg *g, peer *p);
static void ice_done(lg *g, peer *p, uint64_t t) {
    if (!p->ice_ok) {
        p->ice_ok = 1;
        p->state = 2;
        if (p->dtls_client) dtls_kick(g, p);
    }
    (void)t;
}
static void on_stun(lg *g, peer *p, const uint8_t *b, int n, struct sockaddr_in *from, uint64_t t) {
    if (n < 20) return;
    int type = r16(b);
    if (type == 0x0001) {
        uint8_t m[200];
        w16(m, 0x0101);
        memcpy(m + 4, b + 4, 16);
        uint8_t x[8] = {0, 1};
        w16(x + 2, ntohs(from->sin_port) ^ 0x2112);
        w32(x + 4, ntohl(from->sin_addr.s_addr) ^ 0x2112A442);
        int k = stun_attr(m, 20, 0x0020, x, 8);
        k = stun_finish(m, k, p->lpwd);
        sendto(p->fd, m, k, 0, (struct sockaddr *)from, sizeof *from);
        int use = 0;
        for (int i = 20; i + 4 <= n; i += 4 + ((r16(b + i + 2) + 3) & ~3))
            if (r16(b + i) == 0x0025) use = 1;
        if (p->have_remote && use && !p->controlling) {
            p->raddr = *from;
            ice_done(g, p, t);
        }
    } else if (type == 0x0101 && p->controlling)
        ice_done(g, p, t);
}

/* ---------------------------------------------------------------- DTLS */
static int bio_wr(BIO *b, const char *d, int n) {
    peer *p = BIO_get_data(b);
    return sendto(p->fd, d, n, 0, (struct sockaddr *)&p->raddr, sizeof p->raddr) < 0 ? -1 : n;
}
static int bio_rd(BIO *b, char *d, int n) {
    peer *p = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (!p->in) {
        BIO_set_retry_read(b);
        return -1;
    }
    if (n > p->inlen) n = p->inlen;
    memcpy(d, p->in, n);
    p->in = NULL;
    return n;
}
static long bio_ctl(BIO *b, int c, long l, void *v) {
    (void)b;
    (void)l;
    (void)v;
    return c == BIO_CTRL_FLUSH || c == BIO_CTRL_DUP ? 1 : c == BIO_CTRL_DGRAM_GET_FALLBACK_MTU ? 1200 : 0;
}
static int bio_new(BIO *b) {
    BIO_set_init(b, 1);
    return 1;
}
static BIO_METHOD *biom;
static int verify_any(int ok, X509_STORE_CTX *c) {
    (void)ok;
    (void)c;
    return 1;
}

static void srtp_up(lg *g, peer *p) {
    SRTP_PROTECTION_PROFILE *pr = SSL_get_selected_srtp_profile(p->ssl);
    X509 *x = SSL_get1_peer_certificate(p->ssl);
    uint8_t d[32];
    unsigned dl = 32;
    if (!pr || !x) {
        p->state = 4;
        return;
    }
    X509_digest(x, EVP_sha256(), d, &dl);
    X509_free(x);
    if (memcmp(d, p->rfp, 32)) {
        fprintf(stderr, "lg: fingerprint mismatch peer %d\n", p->id);
        p->state = 4;
        return;
    }
    p->profile = pr->name;
    int kl = 16, sl = 14;
    srtp_profile_t sp = srtp_profile_aes128_cm_sha1_80;
    if (pr->id == SRTP_AEAD_AES_128_GCM) {
        sl = 12;
        sp = srtp_profile_aead_aes_128_gcm;
    }
    if (pr->id == SRTP_AEAD_AES_256_GCM) {
        kl = 32;
        sl = 12;
        sp = srtp_profile_aead_aes_256_gcm;
    }
    uint8_t km[2 * (32 + 14)], ck[64], sk[64];
    SSL_export_keying_material(p->ssl, km, 2 * (kl + sl), "EXTRACTOR-dtls_srtp", 19, NULL, 0, 0);
    memcpy(ck, km, kl);
    memcpy(sk, km + kl, kl);
    memcpy(ck + kl, km + 2 * kl, sl);
    memcpy(sk + kl, km + 2 * kl + sl, sl);
    srtp_policy_t po;
    memset(&po, 0, sizeof po);
    srtp_crypto_policy_set_from_profile_for_rtp(&po.rtp, sp);
    srtp_crypto_policy_set_from_profile_for_rtcp(&po.rtcp, sp);
    po.window_size = 1024;
    po.allow_repeat_tx = 1;
    po.ssrc.type = ssrc_any_outbound;
    po.key = p->dtls_client ? ck : sk;
    int e1 = srtp_create(&p->tx, &po);
    po.ssrc.type = ssrc_any_inbound;
    po.key = p->dtls_client ? sk : ck;
    int e2 = srtp_create(&p->rx, &po);
    if (e1 || e2) {
        fprintf(stderr, "lg: srtp_create %d %d\n", e1, e2);
        p->state = 4;
        return;
    }
    p->state = 3;
    p->next_rtcp = now_ns() + (uint64_t)(rnd01(g) * 1e9);
}
static void dtls_kick(lg *g, peer *p) {
    if (!p->ssl) {
        p->ssl = SSL_new(g->ctx);
        BIO *b = BIO_new(biom);
        BIO_set_data(b, p);
        SSL_set_bio(p->ssl, b, b);
        SSL_set_options(p->ssl, SSL_OP_NO_QUERY_MTU);
        SSL_set_mtu(p->ssl, 1200);
        if (p->dtls_client)
            SSL_set_connect_state(p->ssl);
        else
            SSL_set_accept_state(p->ssl);
    }
    if (p->state == 3) {
        char tmp[2048];
        int r = SSL_read(p->ssl, tmp, sizeof tmp);
        if (r <= 0 && SSL_get_error(p->ssl, r) == SSL_ERROR_ZERO_RETURN) p->state = 4;
        return;
    }
    int r = SSL_do_handshake(p->ssl);
    if (r == 1) {
        if (p->state != 3) srtp_up(g, p);
    } else {
        int e = SSL_get_error(p->ssl, r);
        if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE) {
            fprintf(stderr, "lg: dtls error peer %d: %s\n", p->id, ERR_error_string(ERR_peek_last_error(), NULL));
            p->state = 4;
        }
    }
    ERR_clear_error();
}

/* ---------------------------------------------------------------- RTCP */
static void rtcp_send(lg *g, peer *p, uint8_t *b, int n) {
    if (srtp_protect_rtcp(p->tx, b, &n) == srtp_err_status_ok) raw_send(g, p, b, n);
}
static void send_pli(lg *g, peer *p, uint32_t ssrc) {
    uint8_t b[256];
    b[0] = 0x80;
    b[1] = 201;
    w16(b + 2, 1);
    w32(b + 4, p->my_ssrc);
    uint8_t *q = b + 8;
    q[0] = 0x81;
    q[1] = 206;
    w16(q + 2, 2);
    w32(q + 4, p->my_ssrc);
    w32(q + 8, ssrc);
    g->s.plis_tx++;
    rtcp_send(g, p, b, 20);
}
static void send_nack(lg *g, peer *p, uint32_t ssrc, const uint16_t *s, int n) {
    uint8_t b[600];
    b[0] = 0x80;
    b[1] = 201;
    w16(b + 2, 1);
    w32(b + 4, p->my_ssrc);
    uint8_t *q = b + 8;
    q[0] = 0x81;
    q[1] = 205;
    w32(q + 4, p->my_ssrc);
    w32(q + 8, ssrc);
    int o = 12;
    for (int i = 0; i < n && o < 400;) {
        uint16_t pid = s[i++], bl = 0;
        while (i < n && (uint16_t)(s[i] - pid) <= 16) bl |= 1 << ((uint16_t)(s[i++] - pid) - 1);
        w16(q + o, pid);
        w16(q + o + 2, bl);
        o += 4;
    }
    w16(q + 2, o / 4 - 1);
    g->s.nacks_tx++;
    rtcp_send(g, p, b, 8 + o);
}
static void send_twcc(lg *g, peer *p) { /* one two-bit status vector chunk per 7 packets */
    if (p->ntw < 1) return;
    int n = p->ntw; /* sequence order, small reorders are rare on loopback: insertion sort */
    for (int i = 1; i < n; i++) {
        __typeof__(p->tw[0]) x = p->tw[i];
        int j = i;
        while (j > 0 && (int16_t)(p->tw[j - 1].seq - x.seq) > 0) {
            p->tw[j] = p->tw[j - 1];
            j--;
        }
        p->tw[j] = x;
    }
    uint16_t base = p->tw[0].seq;
    int cnt = (uint16_t)(p->tw[n - 1].seq - base) + 1;
    if (cnt > 400) {
        p->ntw = 0;
        return;
    }
    uint8_t b[1500];
    uint8_t *q = b;
    q[0] = 0x8f;
    q[1] = 205;
    w32(q + 4, p->my_ssrc);
    w32(q + 8, p->tw_ssrc);
    if (!p->t_base) p->t_base = p->tw[0].t;
    int64_t ref = (int64_t)(p->tw[0].t - p->t_base) / 64000000;
    uint64_t cur = p->t_base + ref * 64000000ull;
    w16(q + 12, base);
    w16(q + 14, cnt);
    q[16] = ref >> 16;
    q[17] = ref >> 8;
    q[18] = ref;
    q[19] = p->fbcnt++;
    int o = 20, k = 0;
    uint8_t st[420];
    int16_t dl[420];
    for (int i = 0; i < cnt; i++) {
        if (k < n && p->tw[k].seq == (uint16_t)(base + i)) {
            int64_t d = (int64_t)(p->tw[k].t - cur) / 250000;
            cur += d * 250000;
            st[i] = d >= 0 && d < 256 ? 1 : 2;
            dl[i] = d;
            k++;
            while (k < n && p->tw[k].seq == (uint16_t)(base + i)) k++;
        } else
            st[i] = 0;
    }
    for (int i = 0; i < cnt; i += 7) {
        uint16_t c = 0xC000;
        for (int j = 0; j < 7; j++)
            if (i + j < cnt) c |= st[i + j] << (12 - 2 * j);
        w16(q + o, c);
        o += 2;
    }
    for (int i = 0; i < cnt; i++) {
        if (st[i] == 1)
            q[o++] = dl[i];
        else if (st[i] == 2) {
            w16(q + o, dl[i]);
            o += 2;
        }
    }
    while (o % 4) q[o++] = 0;
    w16(q + 2, o / 4 - 1);
    p->ntw = 0;
    g->s.twcc_tx++;
    rtcp_send(g, p, b, o);
}
static void send_reports(lg *g, peer *p, uint64_t t) {
    uint8_t b[1500];
    int n = 0;
    uint64_t ntp_s = t / 1000000000ull + 2208988800ull;
    uint64_t frac = ((t % 1000000000ull) << 32) / 1000000000ull;
    for (int i = 0; i < p->nt; i++) {
        txs *x = &p->t[i];
        uint8_t *q = b + n;
        q[0] = 0x80;
        q[1] = 200;
        w16(q + 2, 6);
        w32(q + 4, x->c.ssrc);
        w32(q + 8, ntp_s);
        w32(q + 12, frac);
        w32(q + 16, x->ts0 + (uint32_t)((t - x->t_start) / 1e9 * x->c.clock));
        w32(q + 20, x->pkts);
        w32(q + 24, x->bytes);
        n += 28;
    }
    if (p->r) {
        int h = n, rc = 0;
        uint8_t *q = b + h;
        q[1] = 201;
        w32(q + 4, p->my_ssrc);
        n += 8;
        uint32_t vs[31];
        int nv = 0;
        for (int i = 0; i < MAXRX && rc < 31; i++) {
            rxs *r = &p->r[i];
            if (!r->used || !r->started) continue;
            uint64_t ex = r->hi - r->base + 1;
            int64_t lost = (int64_t)ex - (int64_t)r->total;
            uint64_t de = ex - r->rr_expected, dr = r->total - r->rr_received;
            r->rr_expected = ex;
            r->rr_received = r->total;
            int fl = de && de > dr ? (int)(((de - dr) << 8) / de) : 0;
            uint8_t *k = b + n;
            if (lost < 0) lost = 0;
            w32(k, r->ssrc);
            k[4] = fl;
            k[5] = lost >> 16;
            k[6] = lost >> 8;
            k[7] = lost;
            w32(k + 8, r->hi);
            w32(k + 12, 0);
            w32(k + 16, r->sr_mid);
            w32(k + 20, r->sr_at ? (uint32_t)((t - r->sr_at) / 1e9 * 65536) : 0);
            n += 24;
            rc++;
            if (r->kind == 1) vs[nv++] = r->ssrc;
        }
        q[0] = 0x80 | rc;
        w16(q + 2, (n - h) / 4 - 1);
        if (nv && p->remb_kbps) {
            uint8_t *k = b + n;
            k[0] = 0x8f;
            k[1] = 206;
            w32(k + 4, p->my_ssrc);
            w32(k + 8, 0);
            memcpy(k + 12, "REMB", 4);
            k[16] = nv;
            uint32_t m = p->remb_kbps * 1000u;
            int e = 0;
            while (m > 0x3ffff) {
                m >>= 1;
                e++;
            }
            k[17] = e << 2 | m >> 16;
            k[18] = m >> 8;
            k[19] = m;
            for (int i = 0; i < nv; i++) w32(k + 20 + 4 * i, vs[i]);
            w16(k + 2, 4 + nv);
            n += 20 + 4 * nv;
        }
    }
    if (n) rtcp_send(g, p, b, n);
}
static void tx_raw(lg *g, peer *p, uint8_t *b, int n) {
    if (srtp_protect(p->tx, b, &n) == srtp_err_status_ok)
        raw_send(g, p, b, n);
    else
        g->s.send_errors++;
}
static void retransmit(lg *g, peer *p, txs *x, uint16_t seq) {
    int i = seq % RING;
    if (!x->hist || x->histseq[i] != seq || !x->histlen[i]) return;
    uint8_t b[BUF];
    int n = x->histlen[i];
    memcpy(b, x->hist[i], n);
    if (x->c.rtx_pt) {
        int h = 12;
        if (b[0] & 0x10) h += 4 + 4 * r16(b + 14);
        memmove(b + h + 2, b + h, n - h);
        w16(b + h, seq);
        n += 2;
        b[1] = (b[1] & 0x80) | x->c.rtx_pt;
        w16(b + 2, x->rtx_seq++);
        w32(b + 8, x->c.rtx_ssrc);
    }
    tx_raw(g, p, b, n);
}
static void on_rtcp(lg *g, peer *p, uint8_t *b, int n, uint64_t t) {
    if (!p->rx || srtp_unprotect_rtcp(p->rx, b, &n) != srtp_err_status_ok) {
        g->s.bad++;
        return;
    }
    for (int o = 0; o + 8 <= n;) {
        uint8_t *q = b + o;
        int len = 4 * (r16(q + 2) + 1), fmt = q[0] & 31;
        if (o + len > n) break;
        if (q[1] == 200) {
            g->s.sr_rx++;
            if (p->r)
                for (int i = 0; i < MAXRX; i++)
                    if (p->r[i].used && p->r[i].ssrc == r32(q + 4)) {
                        p->r[i].sr_mid = r32(q + 10);
                        p->r[i].sr_at = t;
                    }
        } else if (q[1] == 201)
            g->s.rr_rx++;
        else if ((q[1] == 206 && (fmt == 1 || fmt == 4))) {
            g->s.plis_rx++;
            uint32_t s = fmt == 1 ? r32(q + 8) : r32(q + 12);
            for (int i = 0; i < p->nt; i++)
                if (p->t[i].c.ssrc == s) p->t[i].key_req = 1;
        } else if (q[1] == 206 && fmt == 15)
            g->s.rembs_rx++;
        else if (q[1] == 205 && fmt == 15)
            g->s.twcc_rx++;
        else if (q[1] == 205 && fmt == 1) {
            g->s.nacks_rx++;
            for (int i = 0; i < p->nt; i++)
                if (p->t[i].c.ssrc == r32(q + 8))
                    for (int k = 12; k + 4 <= len; k += 4) {
                        uint16_t pid = r16(q + k), bl = r16(q + k + 2);
                        retransmit(g, p, &p->t[i], pid);
                        for (int j = 0; j < 16; j++)
                            if (bl >> j & 1) retransmit(g, p, &p->t[i], pid + 1 + j);
                    }
        }
        o += len;
    }
}

/* ---------------------------------------------------------------- RTP in */
static void hist_add(lg *g, double us) {
    if (us < 1) us = 1;
    int o = (int)log2(us);
    int sub = (int)((us / (double)(1ull << o) - 1) * HSUB);
    if (o >= HOCT) {
        o = HOCT - 1;
        sub = HSUB - 1;
    }
    g->hist[o * HSUB + sub]++;
    g->lat_sum += us;
    g->s.lat_n++;
    if (us > g->lat_max) g->lat_max = us;
}
static rxs *rx_find(peer *p, uint32_t ssrc) {
    if (p->last && p->last->ssrc == ssrc) return p->last;
    unsigned h = (ssrc * 2654435761u) >> 25;
    for (int i = 0; i < MAXRX; i++) {
        rxs *r = &p->r[(h + i) % MAXRX];
        if (!r->used) {
            r->used = 1;
            r->ssrc = ssrc;
            r->kind = -1;
        }
        if (r->ssrc == ssrc) return p->last = r;
    }
    return NULL;
}
static int ext_find(const uint8_t *b, int n, int id) { /* one-byte header extensions -> offset or 0 */
    if (!(b[0] & 0x10) || n < 16 || r16(b + 12) != 0xBEDE) return 0;
    int e = 16 + 4 * r16(b + 14);
    for (int i = 16; i < e && i < n;) {
        if (!b[i]) {
            i++;
            continue;
        }
        int l = (b[i] & 15) + 1;
        if (b[i] >> 4 == id) return i + 1;
        i += 1 + l;
    }
    return 0;
}
static void on_rtp(lg *g, peer *p, uint8_t *b, int n, uint64_t t) {
    if (!p->sub) return;
    if (g->loss > 0 && rnd01(g) < g->loss) {
        g->s.dropped_by_emulation++;
        return;
    }
    int h = 12 + 4 * (b[0] & 15);
    if (b[0] & 0x10) h += 4 + 4 * r16(b + h + 2);
    int pt = b[1] & 127, rtx = p->rtx_pt && pt == p->rtx_pt;
    uint64_t ts = 0;
    int kind = -1, ver = 0, wire = n;
    if (p->verify || rtx) {
        if (!p->rx || srtp_unprotect(p->rx, b, &n) != srtp_err_status_ok) {
            g->s.bad++;
            return;
        }
        if (g->clip_n) {
            kind = pt != 111;
            g->s.rx_verified++;
        } else {
            int e = n;
            if (b[0] & 0x20) e -= b[n - 1];                          /* RTP padding */
            if (e < h + TRAILER || r32(b + e - 20) != MAGIC) return; /* padding-only or probing packet */
            ts = r64(b + e - 8);
            kind = r32(b + e - 16) >> 31;
            ver = 1;
        }
    }
    if (p->ext_twcc) {
        int o = ext_find(b, n, p->ext_twcc);
        if (o && p->ntw < 512) {
            p->tw[p->ntw].seq = r16(b + o);
            p->tw[p->ntw++].t = t;
            p->tw_ssrc = r32(b + 8);
        }
    }
    uint32_t ssrc = r32(b + 8);
    uint16_t seq = r16(b + 2);
    rxs *r;
    if (rtx) { /* original sequence number; the stream is the one missing it */
        uint16_t osn = r16(b + h);
        r = NULL;
        for (int i = 0; i < MAXRX; i++)
            if (p->r[i].used && p->r[i].miss[osn % RING]) {
                r = &p->r[i];
                break;
            }
        if (!r) {
            g->s.dup++;
            return;
        }
        seq = osn;
    } else
        r = rx_find(p, ssrc);
    if (!r) return;
    if (kind >= 0)
        r->kind = kind;
    else if (r->kind < 0)
        r->kind = wire > 400;
    if (!r->started) {
        r->started = 1;
        r->hi = r->base = 0x10000 + seq;
        memset(r->seen, 0, sizeof r->seen);
        r->pt = pt;
        if (r->kind == 1) send_pli(g, p, ssrc);
        r->seen[(r->hi % RING) / 64] |= 1ull << (r->hi % 64);
    } else {
        uint64_t ext = r->hi + (int16_t)(seq - (uint16_t)r->hi);
        if (ext > r->hi) {
            uint16_t ms[RING];
            int nm = 0;
            for (uint64_t s = r->hi + 1; s <= ext && s < r->hi + RING; s++) {
                r->seen[(s % RING) / 64] &= ~(1ull << (s % 64));
                r->miss[s % RING] = 0;
                if (s < ext) {
                    if (p->nack) {
                        r->miss[s % RING] = t;
                        r->tries[s % RING] = 1;
                    }
                    ms[nm++] = s;
                }
            }
            if (nm && t >= g->w0 && t < g->w1) r->win_lost += nm;
            if (nm && p->nack) send_nack(g, p, r->ssrc, ms, nm > 200 ? 200 : nm);
            r->hi = ext;
        } else {
            if (r->hi - ext >= RING || r->seen[(ext % RING) / 64] >> (ext % 64) & 1) {
                g->s.dup++;
                return;
            }
            if (t >= g->w0 && t < g->w1 && r->win_lost) r->win_lost--;
            if (p->nack && r->miss[ext % RING]) {
                g->s.rtx_recovered++;
                r->miss[ext % RING] = 0;
            } else
                g->s.reordered++;
        }
        r->seen[(ext % RING) / 64] |= 1ull << (ext % 64);
    }
    r->total++;
    uint64_t ref = ver ? ts : t;
    if (ref < g->w0 || ref >= g->w1) return;
    g->s.rx_pkts++;
    g->s.rx_bytes += wire;
    r->win_rx++;
    p->win_rx++;
    if (r->kind == 1)
        g->s.rx_video++;
    else
        g->s.rx_audio++;
    if (ver) {
        g->s.rx_verified++;
        hist_add(g, ((int64_t)(t - ts)) / 1e3);
    }
}

/* ---------------------------------------------------------------- RTP out */
static void tx_packet(lg *g, peer *p, txs *x, uint64_t t) {
    uint8_t b[BUF];
    lg_tx *c = &x->c;
    int pay, last = 1, first = 1;
    if (c->kind == 1) {
        first = x->frame_pkt == 0;
        last = x->frame_pkt == x->n_in_frame - 1;
        pay = x->left / (x->n_in_frame - x->frame_pkt);
        x->left -= pay;
        x->frame_pkt++;
    } else
        pay = c->bps / 8 / c->rate;
    if (pay < TRAILER + 16) pay = TRAILER + 16;
    b[0] = 0x80;
    b[1] = c->pt | (c->kind == 1 && last ? 0x80 : 0);
    w16(b + 2, x->seq);
    w32(b + 4, x->frame_ts);
    w32(b + 8, c->ssrc);
    int n = 12;
    uint8_t *e = b + 16;
    int k = 0;
    if (c->ext_abs) {
        uint32_t a = (uint32_t)(((t % 64000000000ull) << 18) / 1000000000ull);
        e[k++] = c->ext_abs << 4 | 2;
        e[k++] = a >> 16;
        e[k++] = a >> 8;
        e[k++] = a;
    }
    if (c->ext_twcc) {
        e[k++] = c->ext_twcc << 4 | 1;
        w16(e + k, p->twcc_seq++);
        k += 2;
    }
    if (c->ext_mid && *c->mid) {
        int l = strlen(c->mid);
        e[k++] = c->ext_mid << 4 | (l - 1);
        memcpy(e + k, c->mid, l);
        k += l;
    }
    if (c->ext_rid && *c->rid) {
        int l = strlen(c->rid);
        e[k++] = c->ext_rid << 4 | (l - 1);
        memcpy(e + k, c->rid, l);
        k += l;
    }
    if (c->ext_level) {
        e[k++] = c->ext_level << 4;
        e[k++] = 30;
    }
    if (k) {
        while (k % 4) e[k++] = 0;
        b[0] |= 0x10;
        w16(b + 12, 0xBEDE);
        w16(b + 14, k / 4);
        n = 16 + k;
    }
    uint8_t *q = b + n;
    if (c->kind == 1 && g->clip_n) {
        q[0] = 0x80 | (first ? 0x10 : 0);
        q[1] = 0x80;
        w16(q + 2, 0x8000 | (x->picid & 0x7fff));
        memcpy(q + 4, g->clip + g->clip_off[x->clip_i] + x->clip_pos, pay);
        x->clip_pos += pay;
        pay += 4;
    } else if (memset(q, 0xA5, pay), c->kind == 1) { /* VP8 payload descriptor with 15-bit picture id, then the VP8 header */
        q[0] = 0x80 | (first ? 0x10 : 0);
        q[1] = 0x80;
        w16(q + 2, 0x8000 | (x->picid & 0x7fff));
        if (first) {
            q[4] = x->key ? 0x10 : 0x11;
            q[5] = q[6] = 0;
            if (x->key) {
                q[7] = 0x9d;
                q[8] = 1;
                q[9] = 0x2a;
                q[10] = 0x00;
                q[11] = 0x05;
                q[12] = 0xd0;
                q[13] = 0x02;
            }
        }
    } else
        q[0] = 0x78;
    uint64_t tn = now_ns();
    if (!g->clip_n) {
        uint8_t *tr = q + pay - TRAILER;
        w32(tr, MAGIC);
        w32(tr + 4, (uint32_t)c->kind << 31 | p->id);
        w32(tr + 8, x->idx++);
        w64(tr + 12, tn);
    }
    n += pay;
    if (x->hist) {
        int i = x->seq % RING;
        memcpy(x->hist[i], b, n);
        x->histlen[i] = n;
        x->histseq[i] = x->seq;
    }
    x->seq++;
    x->pkts++;
    x->bytes += pay;
    if (tn >= g->w0 && tn < g->w1) {
        g->s.sent_pkts++;
        g->s.sent_bytes += n;
    }
    tx_raw(g, p, b, n);
}
static uint64_t tx_run(lg *g, peer *p, txs *x, uint64_t t) { /* returns the next due time */
    lg_tx *c = &x->c;
    uint64_t per = 1000000000ull / c->rate;
    if (!x->t_start) {
        x->t_start = t;
        x->next_frame = t + (uint64_t)(rnd01(g) * per);
        x->key = x->key_req = 1;
    }
    for (;;) {
        if (c->kind == 1 && x->frame_pkt < x->n_in_frame) {
            if (x->next_pkt > t) return x->next_pkt;
            int pay = x->left / (x->n_in_frame - x->frame_pkt);
            tx_packet(g, p, x, t);
            x->next_pkt += c->uplink_kbps ? (uint64_t)(pay + 60) * 8000000ull / c->uplink_kbps : 0;
            continue;
        }
        if (x->next_frame > t) return x->next_frame;
        x->frame_ts = x->ts0 + (uint32_t)(x->frame_no++ * (uint64_t)c->clock / c->rate);
        if (c->kind == 1) {
            x->key = x->key_req;
            x->key_req = 0;
            x->picid++;
            x->left = c->bps / 8 / c->rate * (x->key ? 3 : 1);
            if (g->clip_n) {
                x->clip_i = (x->frame_no - 1) % g->clip_n;
                x->clip_pos = 0;
                x->left = g->clip_len[x->clip_i];
            }
            x->n_in_frame = (x->left + c->mtu - 1) / c->mtu;
            x->frame_pkt = 0;
            x->next_pkt = x->next_frame;
        } else
            tx_packet(g, p, x, t);
        x->next_frame += per;
        if (x->next_frame + 1000000000ull < t) x->next_frame = t; /* never burst more than 1 s behind */
    }
}

/* ---------------------------------------------------------------- loop */
static void drain(lg *g, peer *p) {
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            g->iov[i].iov_base = g->buf[i];
            g->iov[i].iov_len = BUF;
            g->mm[i].msg_hdr = (struct msghdr){.msg_name = &g->from[i],
                                               .msg_namelen = sizeof g->from[i],
                                               .msg_iov = &g->iov[i],
                                               .msg_iovlen = 1,
                                               .msg_control = g->ctl[i],
                                               .msg_controllen = sizeof g->ctl[i]};
        }
        int n = recvmmsg(p->fd, g->mm, BATCH, MSG_DONTWAIT, NULL);
        if (n <= 0) return;
        uint64_t tn = now_ns();
        for (int i = 0; i < n; i++) {
            uint8_t *b = g->buf[i];
            int len = g->mm[i].msg_len;
            uint64_t t = tn;
            if (len < 1) continue;
            for (struct cmsghdr *c = CMSG_FIRSTHDR(&g->mm[i].msg_hdr); c; c = CMSG_NXTHDR(&g->mm[i].msg_hdr, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
                    struct timespec *s = (void *)CMSG_DATA(c);
                    t = s->tv_sec * 1000000000ull + s->tv_nsec;
                }
            if (b[0] < 4)
                on_stun(g, p, b, len, &g->from[i], t);
            else if (b[0] >= 20 && b[0] < 64) {
                if (p->have_remote) {
                    if (!p->controlling) ice_done(g, p, t);
                    p->in = b;
                    p->inlen = len;
                    dtls_kick(g, p);
                    p->in = NULL;
                }
            } else if (b[0] >= 128 && b[0] < 192 && len >= 12) {
                if (b[1] >= 192 && b[1] <= 223)
                    on_rtcp(g, p, b, len, t);
                else
                    on_rtp(g, p, b, len, t);
            }
        }
        if (n < BATCH) return;
    }
}
static void ticks(lg *g, uint64_t t) {
    for (int i = 0; i < g->np; i++) {
        peer *p = g->p[i];
        if (p->closed || !p->have_remote) continue;
        if (t >= p->next_check) {
            ice_check(g, p);
            p->next_check = t + (p->ice_ok ? 2500000000ull : 50000000ull);
        }
        if (p->ssl && p->state == 2 && t >= p->next_dtls) {
            struct timeval tv;
            if (DTLSv1_get_timeout(p->ssl, &tv) && !tv.tv_sec && !tv.tv_usec) DTLSv1_handle_timeout(p->ssl);
            p->next_dtls = t + 50000000ull;
        }
        if (p->state != 3) continue;
        if (t >= p->next_rtcp) {
            send_reports(g, p, t);
            p->next_rtcp = t + 1000000000ull;
        }
        if (p->ext_twcc && t >= p->next_twcc) {
            send_twcc(g, p);
            p->next_twcc = t + 100000000ull;
        }
        if (p->nack && p->r)
            for (int k = 0; k < MAXRX; k++) {
                rxs *r = &p->r[k];
                if (!r->used || !r->started) continue;
                uint16_t ms[64];
                int nm = 0;
                for (uint64_t s = r->hi > 200 ? r->hi - 200 : 0; s < r->hi && nm < 64; s++) {
                    int q = s % RING;
                    if (r->miss[q] && t - r->miss[q] > 60000000ull) {
                        if (r->tries[q]++ < 8) {
                            ms[nm++] = s;
                            r->miss[q] = t;
                        } else
                            r->miss[q] = 0;
                    }
                }
                if (nm) send_nack(g, p, r->ssrc, ms, nm);
            }
    }
}
void lg_poll(lg *g, int ms) {
    uint64_t end = now_ns() + (uint64_t)ms * 1000000ull;
    struct epoll_event ev[256];
    for (;;) {
        pthread_mutex_lock(&g->mu);
        uint64_t t = now_ns(), due = end;
        if (t >= g->next_tick) {
            ticks(g, t);
            g->next_tick = t + 10000000ull;
        }
        if (g->media)
            for (int i = 0; i < g->np; i++)
                if (g->p[i]->state == 3 && !g->p[i]->closed)
                    for (int k = 0; k < g->p[i]->nt; k++) {
                        uint64_t d = tx_run(g, g->p[i], &g->p[i]->t[k], now_ns());
                        if (d < due) due = d;
                    }
        pthread_mutex_unlock(&g->mu);
        if (g->next_tick < due) due = g->next_tick;
        t = now_ns();
        struct timespec to = {0, 0};
        if (due > t) {
            to.tv_sec = (due - t) / 1000000000ull;
            to.tv_nsec = (due - t) % 1000000000ull;
        }
        int n = epoll_pwait2(g->ep, ev, 256, &to, NULL);
        pthread_mutex_lock(&g->mu);
        for (int i = 0; i < n; i++) {
            peer *p = ev[i].data.ptr;
            if (!p->closed) drain(g, p);
        }
        pthread_mutex_unlock(&g->mu);
        if (now_ns() >= end) return;
    }
}

/* ---------------------------------------------------------------- API */
static void mk_cert(SSL_CTX *c, char *fp) {
    EVP_PKEY *k = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -86400);
    X509_gmtime_adj(X509_getm_notAfter(x), 30 * 86400);
    X509_set_pubkey(x, k);
    X509_NAME *n = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const uint8_t *)"loadgen", -1, -1, 0);
    X509_set_issuer_name(x, n);
    X509_sign(x, k, EVP_sha256());
    SSL_CTX_use_certificate(c, x);
    SSL_CTX_use_PrivateKey(c, k);
    uint8_t d[32];
    unsigned l = 32;
    X509_digest(x, EVP_sha256(), d, &l);
    for (int i = 0; i < 32; i++) sprintf(fp + 3 * i, "%02X%s", d[i], i < 31 ? ":" : "");
    X509_free(x);
    EVP_PKEY_free(k);
}
lg *lg_new(const char *profiles, int verify_every, const char *bind_ip) {
    static int once;
    if (!once) {
        srtp_init();
        crc_init();
        once = 1;
        biom = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "lg");
        BIO_meth_set_write(biom, bio_wr);
        BIO_meth_set_read(biom, bio_rd);
        BIO_meth_set_ctrl(biom, bio_ctl);
        BIO_meth_set_create(biom, bio_new);
    }
    lg *g = calloc(1, sizeof *g);
    pthread_mutex_init(&g->mu, NULL);
    g->ep = epoll_create1(0);
    g->rnd = 88172645463325252ull;
    g->verify_every = verify_every < 1 ? 1 : verify_every;
    inet_pton(AF_INET, bind_ip, &g->bind_ip);
    g->hist = calloc(HSUB * HOCT, 8);
    g->w0 = g->w1 = ~0ull;
    g->ctx = SSL_CTX_new(DTLS_method());
    SSL_CTX_set_verify(g->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, verify_any);
    if (SSL_CTX_set_tlsext_use_srtp(g->ctx, profiles)) {
        fprintf(stderr, "lg: bad srtp profiles\n");
        return NULL;
    }
    SSL_CTX_set_read_ahead(g->ctx, 1);
    mk_cert(g->ctx, g->fp);
    return g;
}
void lg_free(lg *g) {
    for (int i = 0; i < g->np; i++) lg_peer_close(g, i);
}
const char *lg_fingerprint(lg *g) { return g->fp; }
int lg_peer_new(lg *g, int sub) {
    peer *p = calloc(1, sizeof *p);
    p->sub = sub;
    p->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    int sz = 4 << 20, one = 1;
    setsockopt(p->fd, SOL_SOCKET, SO_RCVBUFFORCE, &sz, sizeof sz);
    setsockopt(p->fd, SOL_SOCKET, SO_SNDBUFFORCE, &sz, sizeof sz);
    setsockopt(p->fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = g->bind_ip};
    if (bind(p->fd, (void *)&a, sizeof a)) {
        free(p);
        return -1;
    }
    rnd_str(p->lufrag, 8);
    rnd_str(p->lpwd, 24);
    RAND_bytes(p->tie, 8);
    RAND_bytes((void *)&p->my_ssrc, 4);
    if (sub) p->r = calloc(MAXRX, sizeof(rxs));
    pthread_mutex_lock(&g->mu);
    if (g->np == g->cap) {
        g->cap = g->cap * 2 + 64;
        g->p = realloc(g->p, g->cap * sizeof *g->p);
    }
    p->id = g->np;
    p->verify = sub && p->id % g->verify_every == 0;
    g->p[g->np++] = p;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = p};
    epoll_ctl(g->ep, EPOLL_CTL_ADD, p->fd, &e);
    pthread_mutex_unlock(&g->mu);
    return p->id;
}
int lg_peer_local(lg *g, int id, char *u, char *w, int *port) {
    peer *p = g->p[id];
    strcpy(u, p->lufrag);
    strcpy(w, p->lpwd);
    struct sockaddr_in a;
    socklen_t l = sizeof a;
    getsockname(p->fd, (void *)&a, &l);
    *port = ntohs(a.sin_port);
    return 0;
}
int lg_peer_remote(lg *g, int id, const char *u, const char *w, const char *ip, int port, const char *fp, int controlling,
                   int dtls_client) {
    pthread_mutex_lock(&g->mu);
    peer *p = g->p[id];
    snprintf(p->rufrag, sizeof p->rufrag, "%s", u);
    snprintf(p->rpwd, sizeof p->rpwd, "%s", w);
    snprintf(p->uname, sizeof p->uname, "%s:%s", u, p->lufrag);
    p->raddr.sin_family = AF_INET;
    p->raddr.sin_port = htons(port);
    inet_pton(AF_INET, ip, &p->raddr.sin_addr);
    for (int i = 0; i < 32; i++) {
        unsigned v = 0;
        sscanf(fp + 3 * i, "%2x", &v);
        p->rfp[i] = v;
    }
    p->controlling = controlling;
    p->dtls_client = dtls_client;
    p->have_remote = 1;
    p->state = 1;
    p->next_check = 0;
    pthread_mutex_unlock(&g->mu);
    return 0;
}
int lg_peer_add_tx(lg *g, int id, const lg_tx *c) {
    pthread_mutex_lock(&g->mu);
    peer *p = g->p[id];
    p->t = realloc(p->t, (p->nt + 1) * sizeof(txs));
    txs *x = &p->t[p->nt++];
    memset(x, 0, sizeof *x);
    x->c = *c;
    RAND_bytes((void *)&x->seq, 2);
    x->seq &= 0x7fff;
    RAND_bytes((void *)&x->ts0, 4);
    if (c->kind == 1) x->hist = malloc(RING * (size_t)BUF);
    pthread_mutex_unlock(&g->mu);
    return 0;
}
int lg_peer_rx_opts(lg *g, int id, int ext_twcc, int rtx_pt, int nack, int remb) {
    pthread_mutex_lock(&g->mu);
    peer *p = g->p[id];
    p->ext_twcc = ext_twcc;
    p->rtx_pt = rtx_pt;
    p->nack = nack;
    p->remb_kbps = remb;
    pthread_mutex_unlock(&g->mu);
    return 0;
}
int lg_peer_state(lg *g, int id) { return g->p[id]->state; }
const char *lg_peer_profile(lg *g, int id) { return g->p[id]->profile ? g->p[id]->profile : ""; }
int lg_peer_close(lg *g, int id) {
    pthread_mutex_lock(&g->mu);
    peer *p = g->p[id];
    if (!p->closed) {
        if (p->ssl && p->state == 3) SSL_shutdown(p->ssl);
        p->closed = 1;
        close(p->fd);
    }
    pthread_mutex_unlock(&g->mu);
    return 0;
}
int lg_clip(lg *g, const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) return -1;
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    g->clip = malloc(n);
    if (fread(g->clip, 1, n, f) != (size_t)n) n = 0;
    fclose(f);
    g->clip_off = calloc(10000, sizeof(int));
    g->clip_len = calloc(10000, sizeof(int));
    for (long o = 32; o + 12 <= n && g->clip_n < 10000;) {
        int l = g->clip[o] | g->clip[o + 1] << 8 | g->clip[o + 2] << 16 | g->clip[o + 3] << 24;
        g->clip_off[g->clip_n] = o + 12;
        g->clip_len[g->clip_n++] = l;
        o += 12 + l;
    }
    return g->clip_n;
}
void lg_media(lg *g, int on) { g->media = on; }
void lg_loss(lg *g, double f) { g->loss = f; }
void lg_window(lg *g, uint64_t a, uint64_t b) {
    pthread_mutex_lock(&g->mu);
    g->w0 = a;
    g->w1 = b;
    memset(&g->s, 0, sizeof g->s);
    memset(g->hist, 0, HSUB * HOCT * 8);
    g->lat_sum = g->lat_max = 0;
    for (int i = 0; i < g->np; i++) {
        g->p[i]->win_rx = 0;
        if (g->p[i]->r)
            for (int k = 0; k < MAXRX; k++) g->p[i]->r[k].win_rx = g->p[i]->r[k].win_lost = 0;
    }
    pthread_mutex_unlock(&g->mu);
}
static double bucket_us(int i) { return (double)(1ull << (i / HSUB)) * (1 + (i % HSUB + 0.5) / HSUB); }
void lg_get_stats(lg *g, lg_stats *o) {
    pthread_mutex_lock(&g->mu);
    g->s.lost = 0;
    g->s.min_peer_rx = ~0ull;
    g->s.max_peer_rx = 0;
    for (int i = 0; i < g->np; i++) {
        peer *p = g->p[i];
        if (!p->sub) continue;
        if (p->win_rx < g->s.min_peer_rx) g->s.min_peer_rx = p->win_rx;
        if (p->win_rx > g->s.max_peer_rx) g->s.max_peer_rx = p->win_rx;
        for (int k = 0; k < MAXRX; k++) g->s.lost += p->r[k].win_lost;
    }
    uint64_t c = 0, n = g->s.lat_n;
    g->s.lat_p50_us = g->s.lat_p90_us = g->s.lat_p99_us = 0;
    for (int i = 0; i < HSUB * HOCT && n; i++) {
        uint64_t b = c;
        c += g->hist[i];
        if (!g->hist[i]) continue;
        if (b < n * 0.5 && c >= n * 0.5) g->s.lat_p50_us = bucket_us(i);
        if (b < n * 0.9 && c >= n * 0.9) g->s.lat_p90_us = bucket_us(i);
        if (b < n * 0.99 && c >= n * 0.99) g->s.lat_p99_us = bucket_us(i);
    }
    g->s.lat_mean_us = n ? g->lat_sum / n : 0;
    g->s.lat_max_us = g->lat_max;
    *o = g->s;
    pthread_mutex_unlock(&g->mu);
}
int lg_hist(lg *g, double *us, uint64_t *ct, int max) {
    int k = 0;
    for (int i = 0; i < HSUB * HOCT && k < max; i++)
        if (g->hist[i]) {
            us[k] = bucket_us(i);
            ct[k++] = g->hist[i];
        }
    return k;
}
