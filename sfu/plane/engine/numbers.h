/* The transport-wide numbers of one subscriber: `sfu.rtp.departures.Departures.add`, on its own memory. */
#ifndef MEET_NUMBERS_H
#define MEET_NUMBERS_H

#include "native.h"

typedef struct {
    PyObject_HEAD
    Py_buffer times, sizes, next, latest;
    uint64_t mask;
} NumbersObject;

/* The number, of 16 bits, of a packet of `size` bytes that leaves now. */
uint32_t numbers_add(NumbersObject *, size_t size, double now);

#endif
