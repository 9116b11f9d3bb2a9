/* One packet to many subscribers: `sfu.consumer.Consumer.forward`, as far as nothing changes.
 *
 * Theory of operation. A fan has, of each subscriber, its lane and the Python function that forwards to it. A packet
 * that a lane has all it needs for is written here; any other goes to the function, which decides, changes what it has
 * to, and settles the lane anew. So what a subscriber gets is defined in one place, and this is only the part of it
 * that needs no thought. `tests/unit/sfu/plane/test_fan.py` holds the two to the same bytes.
 */
#include <string.h>

#include "parcel.h"
#include "wire.h"

enum { RTP_FIXED = 12, RTP_EXTENDED = 16, ONE_BYTE_PROFILE = 0xBEDE };

typedef struct {
    PyObject_HEAD
    PyObject *lanes;     /* a tuple of `Lane` */
    PyObject *functions; /* a tuple of what forwards to each */
} FanObject;

/* Whether the lane has all it needs for this packet: 1, 0, or -1 with an exception. */
static int is_steady(const LaneObject *lane, PyObject *stream, struct parcel *parcel) {
    if (!lane->settled || lane->stream != stream) return 0;
    if (lane->session->address_size == 0 || lane->session->box == NULL) return 0;
    if (parcel->index <= lane->highest_in || parcel->payload.size == 0) return 0;
    if (lane->types[parcel->marker_type] == NO_TYPE) return 0;
    if (!(parcel->layered || lane->renumbers)) return 1;
    if (parcel->layer != NULL) {
        if (!lane->still && parcel->starts) return 0;
        int above = parcel_above(parcel, lane);
        if (above) return above < 0 ? -1 : 0;
    }
    int bounded = lane->limit_spatial != NO_LIMIT || lane->limit_temporal != NO_LIMIT;
    return !(parcel->dependency != NULL && parcel->lasting && bounded);
}

/* The beginning of a payload with the subscriber's numbers of its picture (`Rewrite.payload`). */
static void renumber(const LaneObject *lane, const struct parcel *parcel, struct job *job, uint8_t *own) {
    memcpy(own, parcel->payload.at, parcel->changed);
    uint64_t picture = (uint64_t)parcel->picture + (uint64_t)lane->pictures;
    if (parcel->picture_bits == 15)
        put16(own + parcel->picture_at, 0x8000 | (uint32_t)(picture & 0x7FFF));
    else if (parcel->picture_bits)
        own[parcel->picture_at] = (uint8_t)(picture & 0x7F);
    if (parcel->has_tl0) own[parcel->tl0_at] = (uint8_t)((uint64_t)parcel->tl0 + (uint64_t)lane->tl0s);
    job->plain[0] = (struct piece){own, parcel->changed};
    job->plain[1] = (struct piece){parcel->payload.at + parcel->changed, parcel->payload.size - parcel->changed};
}

/* The subscriber's frame number in the dependency descriptor, among the elements that travel on. */
static void renumber_frame(const LaneObject *lane, const struct parcel *parcel, uint8_t *elements, size_t size) {
    size_t at = 0;
    while (at < size && elements[at] != 0) { /* one-byte elements, then padding, as `PassedElements` writes them */
        size_t value = (elements[at] & 15u) + 1;
        if (elements[at] >> 4 == lane->dependency_id && value >= 3 && at + 1 + value <= size) {
            put16(elements + at + 2, (uint32_t)((uint64_t)parcel->frame + (uint64_t)lane->frames) & 0xFFFF);
            return;
        }
        at += 1 + value;
    }
}

/* The header of `HeaderWriter.write`, into a job; its size, or 0 where it does not fit. */
static size_t write_header(const LaneObject *lane, const struct parcel *parcel, const struct passed *passed,
                           uint32_t marker_type, uint64_t out, uint8_t *at) {
    struct piece tail;
    if (passed->tail == NULL || bytes_of(passed->tail, &tail)) {
        PyErr_Clear();
        return 0;
    }
    size_t own = (lane->time_id ? 4 : 0) + lane->mid_size + (lane->number_id ? 3 : 0), size = own + tail.size;
    if (size % 4 != 0 || RTP_EXTENDED + size + MOST_CHANGED > JOB_OWN) return 0;
    at[0] = size ? 0x90 : 0x80;
    at[1] = (uint8_t)marker_type;
    put16(at + 2, (uint32_t)out & 0xFFFF);
    put32(at + 4, parcel->timestamp + lane->timestamp);
    put32(at + 8, lane->ssrc);
    if (size == 0) return RTP_FIXED;
    put16(at + 12, ONE_BYTE_PROFILE);
    put16(at + 14, (uint32_t)(size / 4));
    uint8_t *next = at + RTP_EXTENDED;
    if (lane->time_id) {
        put32(next, lane->time_id << 28 | 2u << 24 | (passed->time & 0xFFFFFF));
        next += 4;
    }
    memcpy(next, lane->mid, lane->mid_size);
    next += lane->mid_size;
    if (lane->number_id) {
        *next = (uint8_t)(lane->number_id << 4 | 1);
        put16(next + 1, numbers_add(lane->numbers, RTP_EXTENDED + size + parcel->payload.size, parcel->arrival));
        next += 3;
    }
    memcpy(next, tail.at, tail.size);
    if (lane->frames && parcel->dependency != NULL) renumber_frame(lane, parcel, next, tail.size);
    return RTP_EXTENDED + size;
}

/* Queue the packet for a lane: 1, 0 where Python has to, or -1 with an exception. */
static int send_to(LaneObject *lane, struct parcel *parcel) {
    const struct passed *passed = parcel_passed(parcel, lane->passed);
    if (passed == NULL) return -1;
    struct job *job = box_job(lane->session->box);
    if (job == NULL) return -1;
    long long out;
    if (__builtin_add_overflow(parcel->index, lane->delta, &out)) out = -1;
    uint32_t marker_type = (uint32_t)lane->types[parcel->marker_type];
    if (parcel->layer != NULL && parcel->ends && parcel->spatial == lane->limit_spatial) marker_type |= 0x80;
    size_t size = out < 0 || (uint64_t)out > MAX_INDEX
                      ? 0
                      : write_header(lane, parcel, passed, marker_type, (uint64_t)out, job->own);
    if (size == 0) {
        box_drop(lane->session->box, job);
        return 0;
    }
    job->ssrc = lane->ssrc;
    job->index = (uint64_t)out;
    job->clear = (struct piece){job->own, size};
    job->plain[0] = parcel->payload;
    if (parcel->descriptor != NULL && (lane->pictures || lane->tl0s)) renumber(lane, parcel, job, job->own + size);
    job->owners[1] = Py_NewRef(parcel->payload_object);
    lane->highest_in = parcel->index;
    lane->packets++;
    lane->octets += (long long)parcel->payload.size;
    SET(lane->last, Py_NewRef(parcel->packet));
    return session_queue(lane->session, &lane->session->rtp, job) ? -1 : 1;
}

static int forward(LaneObject *lane, PyObject *stream, struct parcel *parcel) {
    int steady = is_steady(lane, stream, parcel);
    if (steady > 0 && box_is_ours(lane->session->box)) return -1;
    return steady > 0 ? send_to(lane, parcel) : steady;
}

static PyObject *fan_call(PyObject *object, PyObject *arguments, PyObject *Py_UNUSED(keywords)) {
    FanObject *self = (FanObject *)object;
    PyObject *stream, *packet;
    struct parcel parcel;
    if (!PyArg_ParseTuple(arguments, "OO", &stream, &packet)) return NULL;
    int failed = parcel_open(&parcel, packet);
    Py_ssize_t count = PyTuple_Size(self->lanes);
    for (Py_ssize_t i = 0; !failed && i < count; i++) {
        int done = forward((LaneObject *)PyTuple_GetItem(self->lanes, i), stream, &parcel);
        if (done == 0) {
            PyObject *nothing = PyObject_CallFunctionObjArgs(PyTuple_GetItem(self->functions, i), stream, packet, NULL);
            if (nothing == NULL) done = -1;
            Py_XDECREF(nothing);
        }
        failed = done < 0;
    }
    parcel_close(&parcel);
    if (failed) return NULL;
    Py_RETURN_NONE;
}

/* --- the type */

static PyObject *fan_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords)) {
    PyObject *lanes, *functions;
    if (!PyArg_ParseTuple(arguments, "O!O!", &PyTuple_Type, &lanes, &PyTuple_Type, &functions)) return NULL;
    if (PyTuple_Size(lanes) != PyTuple_Size(functions)) {
        PyErr_SetString(PyExc_ValueError, "each lane has its function");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyTuple_Size(lanes); i++) {
        if (PyObject_TypeCheck(PyTuple_GetItem(lanes, i), lane_type)) continue;
        PyErr_SetString(PyExc_TypeError, "a fan is of lanes");
        return NULL;
    }
    FanObject *self = NEW(type, FanObject);
    if (self == NULL) return NULL;
    self->lanes = Py_NewRef(lanes);
    self->functions = Py_NewRef(functions);
    return (PyObject *)self;
}

static int fan_traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(((FanObject *)object)->lanes);
    Py_VISIT(((FanObject *)object)->functions);
    return 0;
}

static int fan_clear(PyObject *object) {
    Py_CLEAR(((FanObject *)object)->lanes);
    Py_CLEAR(((FanObject *)object)->functions);
    return 0;
}

static void fan_dealloc(PyObject *object) {
    PyObject_GC_UnTrack(object);
    fan_clear(object);
    free_object(object);
}

static PyType_Slot fan_slots[] = {
    {Py_tp_new, fan_new},         {Py_tp_traverse, fan_traverse}, {Py_tp_clear, fan_clear},
    {Py_tp_dealloc, fan_dealloc}, {Py_tp_call, fan_call},         {0},
};

PyType_Spec fan_spec = {
    .name = "sfu.plane.engine.native.Fan",
    .basicsize = sizeof(FanObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = fan_slots,
};
