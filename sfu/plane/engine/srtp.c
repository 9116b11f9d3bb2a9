#include "srtp.h"

#include <stdlib.h>
#include <string.h>

#include "wire.h"

enum { RTP_FIXED = 12, RTCP_FIXED = 8, TRAILER = 4 };

static struct stream *find(struct streams *streams, uint32_t ssrc) {
    for (size_t i = 0; i < streams->count; i++)
        if (streams->all[i].ssrc == ssrc) return &streams->all[i];
    return NULL;
}

/* Keep a stream that has just shown itself to be authentic; NULL where there are too many. */
static struct stream *keep(struct streams *streams, uint32_t ssrc) {
    if (streams->count >= MAX_STREAMS) return NULL;
    if (streams->count == streams->room) {
        size_t room = streams->room ? 2 * streams->room : 4;
        struct stream *more = realloc(streams->all, room * sizeof *more);
        if (more == NULL) return NULL;
        streams->all = more;
        streams->room = room;
    }
    struct stream *made = &streams->all[streams->count++];
    made->ssrc = ssrc;
    replay_begin(&made->replay);
    return made;
}

static int record(struct streams *streams, struct stream *stream, uint32_t ssrc, int64_t index) {
    if (stream == NULL) stream = keep(streams, ssrc);
    if (stream == NULL) return -1;
    replay_record(&stream->replay, index);
    return 0;
}

size_t rtp_header_size(const uint8_t *packet, size_t size) {
    if (size < RTP_FIXED || packet[0] >> 6 != 2) return 0;
    size_t start = RTP_FIXED + 4 * (size_t)(packet[0] & 15);
    if (packet[0] & 16) {
        if (start + 4 > size) return 0;
        start += 4 + 4 * (size_t)get16(packet + start + 2);
    }
    return start <= size ? start : 0;
}

long srtp_open_rtp(struct srtp_receiver *receiver, const uint8_t *datagram, size_t size, uint8_t *out) {
    if (size > MAX_PACKET) return -1;
    size_t start = rtp_header_size(datagram, size);
    if (start == 0 || start + AEAD_TAG > size) return -1;
    uint32_t ssrc = get32(datagram + 8);
    struct stream *stream = find(&receiver->rtp_streams, ssrc);
    int64_t index = get16(datagram + 2);
    if (stream != NULL) {
        index = replay_estimate(&stream->replay, (uint32_t)index);
        if (!replay_admits(&stream->replay, index)) return -1;
    }
    const struct piece header[2] = {{datagram, start}, {NULL, 0}};
    memcpy(out, datagram, start);
    if (aead_open(&receiver->rtp, ssrc, (uint64_t)index, header, datagram + start, size - start, out + start))
        return -1;
    if (record(&receiver->rtp_streams, stream, ssrc, index)) return -1;
    return (long)(size - AEAD_TAG);
}

long srtp_open_rtcp(struct srtp_receiver *receiver, const uint8_t *datagram, size_t size, uint8_t *out) {
    if (size > MAX_PACKET || size < RTCP_FIXED + AEAD_TAG + TRAILER || datagram[0] >> 6 != 2) return -1;
    size_t end = size - TRAILER, clear = end - AEAD_TAG;
    uint32_t word = get32(datagram + end), ssrc = get32(datagram + 4);
    int64_t index = word & ~SRTCP_ENCRYPTED;
    struct stream *stream = find(&receiver->rtcp_streams, ssrc);
    if (stream != NULL && !replay_admits(&stream->replay, index)) return -1;
    /* authenticated only (section 9.3): the tag covers everything and encrypts nothing */
    size_t start = word & SRTCP_ENCRYPTED ? RTCP_FIXED : clear;
    const struct piece associated[2] = {{datagram, start}, {datagram + end, TRAILER}};
    memcpy(out, datagram, start);
    if (aead_open(&receiver->rtcp, ssrc, (uint64_t)index, associated, datagram + start, end - start, out + start))
        return -1;
    if (record(&receiver->rtcp_streams, stream, ssrc, index)) return -1;
    return (long)clear;
}

void srtp_close(struct srtp_receiver *receiver) {
    aead_close(&receiver->rtp);
    aead_close(&receiver->rtcp);
    free(receiver->rtp_streams.all);
    free(receiver->rtcp_streams.all);
    receiver->rtp_streams = receiver->rtcp_streams = (struct streams){0};
}
