/* What waits to be encrypted and sent on one UDP socket; `sfu.plane.outbox` in C, by the same names.
 *
 * Theory of operation. A job is one packet in the clear. A run is a row of jobs for one address: all as long as the
 * first, the last maybe shorter, so that the kernel can cut them out of one send (UDP GSO). `outbox_flush` encrypts
 * run after run into one buffer and hands some dozens to the kernel in one call. Nothing in it touches Python, so it
 * runs without the GIL; what the jobs held on to is handed back by `outbox_take_done`.
 *
 * What the kernel has no room for waits in the clear and is encrypted once more: the same bytes under the same nonce.
 */
#ifndef MEET_OUTBOX_H
#define MEET_OUTBOX_H

#include <netinet/in.h>
#include <stdint.h>

#include "aead.h"

enum {
    MAX_SEGMENTS = 64, /* UDP_MAX_SEGMENTS of linux/udp.h; newer kernels take 128 */
    MAX_BYTES = 65000, /* of one run; below what an IPv4 datagram holds, 65 507 */
    MAX_RUNS = 512,    /* that are kept at most while the kernel's buffer is full; about 3 MB of video */
    JOB_OWNERS = 3,
    JOB_OWN = 112 /* bytes of a job itself: a header that was written for it, and what is changed of its payload */
};

union address {
    struct sockaddr any;
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
};

struct job {
    struct job *next;
    struct aead *aead;
    void *owners[JOB_OWNERS]; /* of what is pointed at; handed back when the job is done */
    uint64_t index;
    struct piece clear;    /* sent before the ciphertext, authenticated */
    struct piece plain[2]; /* encrypted, one behind the other */
    struct piece trailer;  /* sent behind the tag, authenticated */
    uint32_t ssrc;
    uint8_t own[JOB_OWN];
};

struct run {
    union address address;
    socklen_t address_size;
    uint32_t segment; /* bytes of each packet but the last */
    uint32_t free;    /* how many more fit; 0 once it is ended by a shorter packet, or has waited */
    uint32_t count;
    struct job *first, *last;
};

struct outbox {
    int fd;
    int segments;       /* whether equal packets leave together */
    uint64_t departed;  /* packets that were given to the kernel */
    uint64_t dropped;   /* packets that the kernel would not take */
    uint64_t head, end; /* serial numbers of the first run that waits, and of the next one */
    struct run runs[MAX_RUNS];
    struct job *spare, *done;
    uint8_t *buffer;
};

/* The socket stays the caller's. -1 where there is no memory. End with `outbox_close`, once no job is left. */
int outbox_open(struct outbox *, int fd);
void outbox_close(struct outbox *);

/* A job to fill in, or NULL where there is no memory. Give it to `outbox_queue` or back. */
struct job *outbox_job(struct outbox *);
void outbox_give_back(struct outbox *, struct job *);

/* Bytes that a job has on the wire. */
size_t job_size(const struct job *);

/* Whether another run may have to be refused: flush first. */
int outbox_full(const struct outbox *);
size_t outbox_waiting(const struct outbox *);

/* Queue a packet behind those of the run with this serial number, if it is still there and the packet fits, else in a
 * new one whose number is then stored. 0 is the number of none: a sender begins with it, and with each new address.
 * -1 where the box is full, or no datagram can be so long: the job is still the caller's. */
int outbox_queue(struct outbox *, uint64_t *serial, const union address *, socklen_t, struct job *);

/* Send everything, or as much as the kernel takes; the rest waits for the next flush. */
void outbox_flush(struct outbox *);

/* The jobs that are done with, as a list. */
struct job *outbox_take_done(struct outbox *);

#endif
