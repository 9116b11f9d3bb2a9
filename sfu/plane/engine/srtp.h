/* SRTP and SRTCP of one peer with AEAD_AES_128_GCM (RFC 7714), inwards: `sfu.plane.gcm.GcmReceiver` in C. */
#ifndef MEET_SRTP_H
#define MEET_SRTP_H

#include "aead.h"
#include "replay.h"

enum {
    MAX_STREAMS = 512, /* SSRCs that one peer may send; each costs a window, and a peer needs a few dozen */
    MAX_PACKET = 65535 /* a datagram has no more; what is longer is refused before anything is computed */
};

/* RFC 7714 section 9.2: the bit above an SRTCP index says `encrypted`, and a key serves so many packets. */
#define SRTCP_ENCRYPTED 0x80000000u

struct stream {
    uint32_t ssrc;
    struct replay replay;
};

/* The windows of one kind of packet, as many as streams were heard. */
struct streams {
    struct stream *all;
    size_t count, room;
};

struct srtp_receiver {
    struct aead rtp, rtcp;
    struct streams rtp_streams, rtcp_streams;
};

/* Where the payload of an RTP packet begins: behind CSRCs and header extension. 0 where that is not inside of it, or
 * it is not version 2. */
size_t rtp_header_size(const uint8_t *packet, size_t size);

/* Write the packet inside of a datagram, which is shorter; its size, or -1 where it was malformed, forged or a
 * repeat. */
long srtp_open_rtp(struct srtp_receiver *, const uint8_t *datagram, size_t size, uint8_t *out);
long srtp_open_rtcp(struct srtp_receiver *, const uint8_t *datagram, size_t size, uint8_t *out);

void srtp_close(struct srtp_receiver *);

#endif
