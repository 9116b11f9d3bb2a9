/* Where one subscriber's stream stands, and how packets are written for it as long as nothing changes.
 *
 * `sfu.consumer.Consumer` decides; this is told by `settle`. What every packet moves (`highest_in`, `last`, `packets`,
 * `octets`) lives here and nowhere else, so that both planes and all of Python see the same.
 */
#ifndef MEET_LANE_H
#define MEET_LANE_H

#include "numbers.h"
#include "session.h"

enum {
    NO_TYPE = -1,
    MOST_MID = 17, /* the mid's element: a byte of head, and 16 of text at most */
    NO_LIMIT = 7   /* `sfu.rtp.layers.HIGHEST`: no bound in this direction */
};

typedef struct {
    PyObject_HEAD
    /* what every packet moves */
    long long highest_in, packets, octets;
    PyObject *last;
    /* what `settle` told */
    char settled; /* whether it still holds */
    char still;   /* whether the limit of layers is where it is to be */
    char renumbers;
    PyObject *stream;
    SessionObject *session;
    long long delta;
    uint32_t timestamp;
    long long pictures, tl0s, frames;
    PyObject *limit;
    long limit_spatial, limit_temporal;
    /* of the subscriber's own, what its types map to; kept while the dictionary is the same */
    PyObject *types_from;
    int16_t types[256];
    /* of `HeaderWriter.layout`; kept while it is the same */
    PyObject *layout;
    uint32_t ssrc;
    unsigned time_id, number_id, dependency_id; /* 0 where it has none */
    size_t mid_size;
    uint8_t mid[MOST_MID];
    PyObject *passed;
    NumbersObject *numbers;
} LaneObject;

#endif
