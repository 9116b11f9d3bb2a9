/* What one peer is sent: its keys, its address, and what was counted. */
#ifndef MEET_SESSION_H
#define MEET_SESSION_H

#include "box.h"

/* The highest packet index: a rollover counter of 32 bits and a sequence number (RFC 3711 section 3.3.1). */
#define MAX_INDEX ((UINT64_C(1) << 48) - 1)

typedef struct {
    PyObject_HEAD
    BoxObject *box;
    struct aead rtp, rtcp;
    uint64_t rtcp_index;
    uint64_t serial; /* of the run that was begun last */
    union address address;
    socklen_t address_size; /* 0 where it has none: it can only seal */
    unsigned long long packets_sent, bytes_sent, unsent;
} SessionObject;

/* Queue a job for the peer and count it. 0, or -1 with an exception. The job needs neither its cipher nor its first
 * owner set. */
int session_queue(SessionObject *, struct aead *, struct job *);

#endif
