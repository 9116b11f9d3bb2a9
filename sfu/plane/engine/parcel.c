#include "parcel.h"

#include <string.h>

static int read_whole(PyObject *object, PyObject *name, long long *number) {
    PyObject *value = PyObject_GetAttr(object, name);
    if (value == NULL) return -1;
    *number = PyLong_AsLongLong(value);
    Py_DECREF(value);
    return *number == -1 && PyErr_Occurred() ? -1 : 0;
}

static int read_word(PyObject *object, PyObject *name, uint32_t *word) {
    PyObject *value = PyObject_GetAttr(object, name);
    uint64_t number;
    if (value == NULL) return -1;
    int failed = whole_number(value, UINT32_MAX, &number);
    Py_DECREF(value);
    *word = failed ? 0 : (uint32_t)number;
    return failed;
}

static int read_truth(PyObject *object, PyObject *name, int *truth) {
    PyObject *value = PyObject_GetAttr(object, name);
    if (value == NULL) return -1;
    *truth = PyObject_IsTrue(value);
    Py_DECREF(value);
    return *truth < 0 ? -1 : 0;
}

/* NULL where it is None. */
static int read_optional(PyObject *object, PyObject *name, PyObject **value) {
    *value = PyObject_GetAttr(object, name);
    if (*value == NULL) return -1;
    if (*value == Py_None) Py_CLEAR(*value);
    return 0;
}

static int read_descriptor(struct parcel *parcel) {
    PyObject *descriptor = parcel->descriptor, *tl0_picture;
    long long picture_at, tl0_at;
    if (read_whole(descriptor, names.picture_at, &picture_at) || read_whole(descriptor, names.tl0_at, &tl0_at) ||
        read_whole(descriptor, names.picture_bits, &parcel->picture_bits) ||
        read_whole(descriptor, names.picture, &parcel->picture) || read_whole(descriptor, names.tl0, &parcel->tl0) ||
        read_optional(descriptor, names.tl0_picture, &tl0_picture))
        return -1;
    parcel->has_tl0 = tl0_picture != NULL;
    Py_XDECREF(tl0_picture);
    size_t changed = 0;
    if (parcel->picture_bits) changed = (size_t)picture_at + (parcel->picture_bits == 15 ? 2 : 1);
    if (parcel->has_tl0 && (size_t)tl0_at + 1 > changed) changed = (size_t)tl0_at + 1;
    if (picture_at < 0 || tl0_at < 0 || changed > MOST_CHANGED || changed > parcel->payload.size) {
        PyErr_SetString(PyExc_ValueError, "a payload descriptor that lies outside of its payload");
        return -1;
    }
    parcel->picture_at = (size_t)picture_at;
    parcel->tl0_at = (size_t)tl0_at;
    parcel->changed = changed;
    return 0;
}

static int read_dependency(struct parcel *parcel) {
    int attached, says_active;
    if (read_truth(parcel->dependency, names.attached, &attached) ||
        read_truth(parcel->dependency, names.says_active, &says_active) ||
        read_whole(parcel->dependency, names.frame, &parcel->frame))
        return -1;
    parcel->lasting = attached || says_active;
    return 0;
}

int parcel_open(struct parcel *parcel, PyObject *packet) {
    memset(parcel, 0, sizeof *parcel);
    parcel->packet = packet;
    PyObject *arrival = PyObject_GetAttr(packet, names.arrival);
    if (arrival == NULL) return -1;
    parcel->arrival = PyFloat_AsDouble(arrival);
    Py_DECREF(arrival);
    if (parcel->arrival == -1.0 && PyErr_Occurred()) return -1;
    parcel->payload_object = PyObject_GetAttr(packet, names.payload);
    if (parcel->payload_object == NULL || bytes_of(parcel->payload_object, &parcel->payload) ||
        read_whole(packet, names.index, &parcel->index) ||
        read_word(packet, names.marker_type, &parcel->marker_type) ||
        read_word(packet, names.timestamp, &parcel->timestamp) ||
        read_truth(packet, names.layered, &parcel->layered) || read_optional(packet, names.layer, &parcel->layer) ||
        read_optional(packet, names.descriptor, &parcel->descriptor) ||
        read_optional(packet, names.dependency, &parcel->dependency))
        return -1;
    if (parcel->layer != NULL && (read_truth(parcel->layer, names.starts, &parcel->starts) ||
                                  read_truth(parcel->layer, names.ends, &parcel->ends) ||
                                  read_whole(parcel->layer, names.spatial, &parcel->spatial)))
        return -1;
    if (parcel->descriptor != NULL && read_descriptor(parcel)) return -1;
    if (parcel->dependency != NULL && read_dependency(parcel)) return -1;
    if (parcel->marker_type <= 0xFF) return 0;
    PyErr_SetString(PyExc_ValueError, "the second byte of a header has eight bits");
    return -1;
}

void parcel_close(struct parcel *parcel) {
    Py_CLEAR(parcel->payload_object);
    Py_CLEAR(parcel->layer);
    Py_CLEAR(parcel->descriptor);
    Py_CLEAR(parcel->dependency);
    for (size_t i = 0; i < parcel->passed_count; i++) Py_CLEAR(parcel->passed[i].tail);
}

/* Ask Python, once for a packet and all whose lanes share this. */
static int read_passed(struct parcel *parcel, PyObject *from, struct passed *passed) {
    PyObject *of = PyObject_GetAttr(from, names.packet);
    if (of == NULL) return -1;
    int stale = of != parcel->packet;
    Py_DECREF(of);
    if (stale) {
        PyObject *nothing = PyObject_CallMethodObjArgs(from, names.prepare, parcel->packet, NULL);
        if (nothing == NULL) return -1;
        Py_DECREF(nothing);
    }
    passed->from = from;
    if (read_word(from, names.time, &passed->time)) return -1;
    return read_optional(from, names.tail, &passed->tail);
}

const struct passed *parcel_passed(struct parcel *parcel, PyObject *from) {
    for (size_t i = 0; i < parcel->passed_count; i++)
        if (parcel->passed[i].from == from) return &parcel->passed[i];
    size_t at = parcel->passed_count < KINDS ? parcel->passed_count : KINDS - 1;
    struct passed found = {0};
    if (read_passed(parcel, from, &found)) return NULL;
    if (at == parcel->passed_count)
        parcel->passed_count++;
    else
        Py_CLEAR(parcel->passed[at].tail);
    parcel->passed[at] = found;
    return &parcel->passed[at];
}

int parcel_above(struct parcel *parcel, const LaneObject *lane) {
    for (size_t i = 0; i < parcel->verdict_count; i++) {
        const struct verdict *verdict = &parcel->verdicts[i];
        if (verdict->spatial == lane->limit_spatial && verdict->temporal == lane->limit_temporal)
            return verdict->above;
    }
    PyObject *said = PyObject_CallMethodObjArgs(parcel->layer, names.above, lane->limit, NULL);
    if (said == NULL) return -1;
    int above = PyObject_IsTrue(said);
    Py_DECREF(said);
    if (above < 0) return -1;
    size_t at = parcel->verdict_count < KINDS ? parcel->verdict_count++ : KINDS - 1;
    parcel->verdicts[at] = (struct verdict){lane->limit_spatial, lane->limit_temporal, above};
    return above;
}
