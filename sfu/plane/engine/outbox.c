#include "outbox.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103 /* linux/udp.h, since Linux 4.18 */
#endif

enum {
    MESSAGES = 32, /* runs of one system call: so many that its own cost is nothing beside theirs */
    BUFFER = 8 * MAX_BYTES
};

/* A run as it is handed to the kernel. */
struct message {
    struct iovec piece;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(uint16_t))];
};

int outbox_open(struct outbox *box, int fd) {
    int whole = 0;
    memset(box, 0, sizeof *box);
    box->fd = fd;
    /* Ask the kernel by setting the option to 0, its default. */
    box->segments = setsockopt(fd, SOL_UDP, UDP_SEGMENT, &whole, sizeof whole) == 0;
    box->head = box->end = 1; /* 0 is no run's number */
    box->buffer = malloc(BUFFER);
    return box->buffer == NULL ? -1 : 0;
}

static void free_all(struct job *job) {
    while (job != NULL) {
        struct job *next = job->next;
        free(job);
        job = next;
    }
}

void outbox_close(struct outbox *box) {
    free_all(box->spare);
    free(box->buffer);
    box->spare = NULL;
    box->buffer = NULL;
}

struct job *outbox_job(struct outbox *box) {
    struct job *job = box->spare;
    if (job != NULL)
        box->spare = job->next;
    else if ((job = malloc(sizeof *job)) == NULL)
        return NULL;
    memset(job, 0, offsetof(struct job, own));
    return job;
}

void outbox_give_back(struct outbox *box, struct job *job) {
    job->next = box->spare;
    box->spare = job;
}

size_t job_size(const struct job *job) {
    return job->clear.size + job->plain[0].size + job->plain[1].size + AEAD_TAG + job->trailer.size;
}

static struct run *run_of(struct outbox *box, uint64_t serial) { return &box->runs[serial % MAX_RUNS]; }

size_t outbox_waiting(const struct outbox *box) { return (size_t)(box->end - box->head); }

int outbox_full(const struct outbox *box) { return outbox_waiting(box) >= MAX_RUNS; }

int outbox_queue(struct outbox *box, uint64_t *serial, const union address *address, socklen_t address_size,
                 struct job *job) {
    size_t size = job_size(job);
    if (size > MAX_BYTES) return -1;
    job->next = NULL;
    if (*serial >= box->head && *serial < box->end) {
        struct run *run = run_of(box, *serial);
        if (run->free != 0 && size <= run->segment) {
            run->last->next = job;
            run->last = job;
            run->count++;
            run->free = size == run->segment ? run->free - 1 : 0;
            return 0;
        }
    }
    if (outbox_full(box)) return -1;
    *serial = box->end++;
    struct run *run = run_of(box, *serial);
    size_t most = MAX_BYTES / size;
    run->address = *address;
    run->address_size = address_size;
    run->segment = (uint32_t)size;
    run->free = box->segments ? (uint32_t)(most < MAX_SEGMENTS ? most : MAX_SEGMENTS) - 1 : 0;
    run->count = 1;
    run->first = run->last = job;
    return 0;
}

struct job *outbox_take_done(struct outbox *box) {
    struct job *done = box->done;
    box->done = NULL;
    return done;
}

/* The first job of a run is done with. */
static void finish_one(struct outbox *box, struct run *run) {
    struct job *job = run->first;
    run->first = job->next;
    run->count--;
    job->next = box->done;
    box->done = job;
}

static void finish(struct outbox *box, struct run *run) {
    while (run->count != 0) finish_one(box, run);
}

static uint8_t *put(uint8_t *out, struct piece piece) {
    if (piece.size != 0) memcpy(out, piece.at, piece.size);
    return out + piece.size;
}

/* Encrypt a run; where it ends. What libcrypto fails at is sent all the same, and no receiver takes it: that has never
 * been seen, and the lengths stay what the kernel is told. */
static uint8_t *seal(const struct run *run, uint8_t *out) {
    for (const struct job *job = run->first; job != NULL; job = job->next) {
        const struct piece associated[2] = {job->clear, job->trailer};
        size_t sealed = job->plain[0].size + job->plain[1].size + AEAD_TAG;
        out = put(out, job->clear);
        if (aead_seal(job->aead, job->ssrc, job->index, associated, job->plain, out)) memset(out, 0, sealed);
        out = put(out + sealed, job->trailer);
    }
    return out;
}

static int no_room(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS; }

/* What a segmented send may fail with where a plain one would not; see `sfu.plane.outbox`. */
static int no_segmentation(int error) {
    return error == EIO || error == EINVAL || error == EMSGSIZE || error == ENOPROTOOPT || error == EOPNOTSUPP;
}

/* Send the packets of a run one by one. -1 where the kernel has no room for now; those that are left stay in it. */
static int send_singly(struct outbox *box, struct run *run, const uint8_t *sealed) {
    while (run->count != 0) {
        size_t size = job_size(run->first);
        if (sendto(box->fd, sealed, size, 0, &run->address.any, run->address_size) >= 0)
            box->departed++;
        else if (no_room(errno))
            return -1;
        else
            box->dropped++;
        sealed += size;
        finish_one(box, run);
    }
    return 0;
}

/* A run that the kernel refused. -1 where it has no room for now. */
static int refused(struct outbox *box, struct run *run, const uint8_t *sealed, int error) {
    if (no_room(error)) return -1;
    if (run->count < 2 || !no_segmentation(error)) {
        box->dropped += run->count;
        finish(box, run);
        return 0;
    }
    if (error != EINVAL && error != EMSGSIZE) box->segments = 0; /* those may be about this one address's path */
    return send_singly(box, run, sealed);
}

static void describe(struct msghdr *header, struct message *message, struct run *run, uint8_t *sealed, size_t size) {
    message->piece = (struct iovec){sealed, size};
    *header = (struct msghdr){.msg_name = &run->address,
                              .msg_namelen = run->address_size,
                              .msg_iov = &message->piece,
                              .msg_iovlen = 1};
    if (run->count < 2) return;
    memset(message->control, 0, sizeof message->control);
    header->msg_control = message->control;
    header->msg_controllen = sizeof message->control;
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    uint16_t segment = (uint16_t)run->segment;
    control->cmsg_level = SOL_UDP;
    control->cmsg_type = UDP_SEGMENT;
    control->cmsg_len = CMSG_LEN(sizeof segment);
    memcpy(CMSG_DATA(control), &segment, sizeof segment);
}

/* Encrypt and send the next few runs. -1 where the kernel has no room for now. */
static int flush_some(struct outbox *box) {
    struct mmsghdr headers[MESSAGES];
    struct message messages[MESSAGES];
    uint8_t *at = box->buffer;
    unsigned count = 0;
    for (uint64_t serial = box->head; serial < box->end && count < MESSAGES; serial++) {
        if (at + MAX_BYTES > box->buffer + BUFFER) break;
        uint8_t *end = seal(run_of(box, serial), at);
        describe(&headers[count].msg_hdr, &messages[count], run_of(box, serial), at, (size_t)(end - at));
        at = end;
        count++;
    }
    for (unsigned i = 0; i < count;) {
        int sent = sendmmsg(box->fd, headers + i, count - i, 0);
        if (sent < 0 && errno == EINTR) continue;
        int error = errno;
        for (int each = 0; each < sent; each++, i++) {
            struct run *run = run_of(box, box->head++);
            box->departed += run->count;
            finish(box, run);
        }
        if (sent > 0) continue; /* the one that stopped it is asked for by itself, and says why */
        struct run *run = run_of(box, box->head);
        if (refused(box, run, messages[i].piece.iov_base, error)) return -1;
        box->head++;
        i++;
    }
    return 0;
}

void outbox_flush(struct outbox *box) {
    while (box->head < box->end)
        if (flush_some(box)) break;
    /* Nothing is added to what waits: its length is settled. */
    for (uint64_t serial = box->head; serial < box->end; serial++) run_of(box, serial)->free = 0;
}
