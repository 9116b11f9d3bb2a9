/* The outbox as Python sees it, and as sessions and lanes use it. */
#ifndef MEET_BOX_H
#define MEET_BOX_H

#include "native.h"
#include "outbox.h"

typedef struct {
    PyObject_HEAD
    struct outbox box;
    PyObject *socket, *wake;
    unsigned long thread; /* the one that made it; no other may use it, or what belongs to it */
} BoxObject;

/* -1 with an exception on another thread than the box's own: while it sends, the GIL is free. */
int box_is_ours(const BoxObject *);

/* A job to fill in; NULL with MemoryError. */
struct job *box_job(BoxObject *);

/* Let go of what a job points at, and of the job. */
void box_drop(BoxObject *, struct job *);

/* Queue a job: 1, or 0 where it was dropped because the box is full and stays so; -1 with an exception. It is the
 * box's afterwards in any case. The GIL may be free for a while. */
int box_queue(BoxObject *, uint64_t *serial, const union address *, socklen_t, struct job *);

/* Read an address as Python's sockets have it: (host, port), or with a flow and a scope. -1 with an exception. */
int address_of(PyObject *, union address *, socklen_t *);

#endif
