/* What a receiver remembers of one SRTP stream; `sfu.plane.replay` in C, by the same names. */
#ifndef MEET_REPLAY_H
#define MEET_REPLAY_H

#include <stdint.h>

enum { REPLAY_WINDOW = 1024 };

struct replay {
    int64_t highest; /* -1 before the first packet */
    uint64_t seen[REPLAY_WINDOW / 64]; /* a ring: the bit of an index is at its remainder */
};

void replay_begin(struct replay *);

/* The packet index that a 16-bit sequence number stands for: the nearest to the highest (RFC 3711 section 3.3.1).
 * Below 0 is possible, for a packet from before the stream began. */
int64_t replay_estimate(const struct replay *, uint32_t sequence);

/* Whether the index is neither a repeat nor too old to know (section 3.3.2). */
int replay_admits(const struct replay *, int64_t index);

/* Remember an index that was admitted and whose packet was authentic. */
void replay_record(struct replay *, int64_t index);

#endif
