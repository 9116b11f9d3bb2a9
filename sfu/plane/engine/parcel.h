/* One publisher's packet on its way to many: what of the Python object is needed, read once for all subscribers. */
#ifndef MEET_PARCEL_H
#define MEET_PARCEL_H

#include "lane.h"

enum {
    KINDS = 4,   /* of subscribers that are remembered, by what they negotiated and by their limits */
    MOST_CHANGED = 8 /* bytes at the beginning of a payload in which its numbers stand */
};

/* What of the header extension travels on, for lanes that negotiated it alike (`PassedElements`). */
struct passed {
    PyObject *from;
    PyObject *tail; /* bytes; NULL where an element needs the two-byte form */
    uint32_t time;
};

struct verdict {
    long spatial, temporal;
    int above;
};

struct parcel {
    PyObject *packet, *payload_object, *layer, *descriptor, *dependency; /* the last three NULL where None */
    struct piece payload;
    long long index;
    uint32_t marker_type, timestamp;
    double arrival;
    int layered;
    /* of the layer */
    int starts, ends;
    long long spatial;
    /* of the descriptor: its numbers, and where they stand */
    size_t picture_at, tl0_at, changed;
    long long picture_bits, picture, tl0;
    int has_tl0;
    /* of the dependency descriptor */
    int lasting; /* whether it says something that holds beyond its packet */
    long long frame;
    size_t passed_count, verdict_count;
    struct passed passed[KINDS];
    struct verdict verdicts[KINDS];
};

/* Read a packet; -1 with an exception. End with `parcel_close` in any case. */
int parcel_open(struct parcel *, PyObject *packet);
void parcel_close(struct parcel *);

/* What travels on for a lane; NULL with an exception. */
const struct passed *parcel_passed(struct parcel *, PyObject *passed);

/* Whether the packet is above a lane's limit; -1 with an exception. */
int parcel_above(struct parcel *, const LaneObject *);

#endif
