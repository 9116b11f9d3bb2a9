#include "lane.h"

#include <string.h>

static PyObject *lane_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords)) {
    long long highest_in;
    if (!PyArg_ParseTuple(arguments, "L", &highest_in)) return NULL;
    LaneObject *self = NEW(type, LaneObject);
    if (self == NULL) return NULL;
    self->highest_in = highest_in;
    return (PyObject *)self;
}

static int lane_traverse(PyObject *object, visitproc visit, void *arg) {
    LaneObject *self = (LaneObject *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->last);
    Py_VISIT(self->stream);
    Py_VISIT((PyObject *)self->session);
    Py_VISIT(self->limit);
    Py_VISIT(self->types_from);
    Py_VISIT(self->layout);
    Py_VISIT(self->passed);
    Py_VISIT((PyObject *)self->numbers);
    return 0;
}

static int lane_clear(PyObject *object) {
    LaneObject *self = (LaneObject *)object;
    self->settled = 0;
    Py_CLEAR(self->last);
    Py_CLEAR(self->stream);
    Py_CLEAR(self->session);
    Py_CLEAR(self->limit);
    Py_CLEAR(self->types_from);
    Py_CLEAR(self->layout);
    Py_CLEAR(self->passed);
    Py_CLEAR(self->numbers);
    return 0;
}

static void lane_dealloc(PyObject *object) {
    PyObject_GC_UnTrack(object);
    lane_clear(object);
    free_object(object);
}

static int read_types(LaneObject *self, PyObject *types) {
    if (types == self->types_from) return 0;
    PyObject *key, *value;
    Py_ssize_t at = 0;
    if (!PyDict_Check(types)) {
        PyErr_SetString(PyExc_TypeError, "types are a dictionary");
        return -1;
    }
    Py_CLEAR(self->types_from);
    for (int i = 0; i < 256; i++) self->types[i] = NO_TYPE;
    while (PyDict_Next(types, &at, &key, &value)) {
        uint64_t from, to;
        if (whole_number(key, 255, &from) || whole_number(value, 255, &to)) return -1;
        self->types[from] = (int16_t)to;
    }
    self->types_from = Py_NewRef(types);
    return 0;
}

static int read_layout(LaneObject *self, PyObject *layout) {
    if (layout == self->layout) return 0;
    PyObject *mid, *passed, *memory, *numbers = NULL;
    unsigned ssrc, time_id, number_id, dependency_id;
    struct piece element;
    if (!PyTuple_Check(layout)) {
        PyErr_SetString(PyExc_TypeError, "a layout is a tuple");
        return -1;
    }
    if (!PyArg_ParseTuple(layout, "IIOIIOO", &ssrc, &time_id, &mid, &number_id, &dependency_id, &passed, &memory) ||
        bytes_of(mid, &element))
        return -1;
    if (time_id > 14 || number_id > 14 || dependency_id > 255 || element.size > MOST_MID ||
        PyTuple_Check(memory) != (number_id != 0)) {
        PyErr_SetString(PyExc_ValueError, "a layout that no one-byte header extension can have");
        return -1;
    }
    if (number_id && (numbers = PyObject_CallObject((PyObject *)numbers_type, memory)) == NULL) return -1;
    self->ssrc = ssrc;
    self->time_id = time_id;
    self->number_id = number_id;
    self->dependency_id = dependency_id;
    self->mid_size = element.size;
    memcpy(self->mid, element.at, element.size);
    SET(self->passed, Py_NewRef(passed));
    SET(self->numbers, numbers);
    SET(self->layout, Py_NewRef(layout));
    return 0;
}

static int read_rewrite(LaneObject *self, PyObject *rewrite) {
    long long timestamp;
    PyObject *limit;
    if (!PyTuple_Check(rewrite) || PyTuple_Size(rewrite) != 5) {
        PyErr_SetString(PyExc_TypeError, "a rewrite is a tuple of five");
        return -1;
    }
    if (!PyArg_ParseTuple(rewrite, "LLLLO!", &timestamp, &self->pictures, &self->tl0s, &self->frames, &PyTuple_Type,
                          &limit) ||
        !PyArg_ParseTuple(limit, "ll", &self->limit_spatial, &self->limit_temporal))
        return -1;
    self->timestamp = (uint32_t)timestamp;
    SET(self->limit, Py_NewRef(limit));
    return 0;
}

static PyObject *lane_settle(PyObject *object, PyObject *arguments) {
    LaneObject *self = (LaneObject *)object;
    PyObject *stream, *session, *layout, *types, *rewrite;
    int still, renumbers;
    self->settled = 0;
    if (!PyArg_ParseTuple(arguments, "OO!OOLOpp", &stream, session_type, &session, &layout, &types, &self->delta,
                          &rewrite, &still, &renumbers) ||
        read_layout(self, layout) || read_types(self, types) || read_rewrite(self, rewrite))
        return NULL;
    SET(self->stream, Py_NewRef(stream));
    SET(self->session, Py_NewRef(session));
    self->still = (char)still;
    self->renumbers = (char)renumbers;
    self->settled = 1;
    Py_RETURN_NONE;
}

static PyMethodDef lane_methods[] = {
    {"settle", lane_settle, METH_VARARGS, "See `sfu.consumer.Consumer._settle`."},
    {0},
};

static PyMemberDef lane_members[] = {
    {"highest_in", T_LONGLONG, offsetof(LaneObject, highest_in), 0, "See `sfu.rtp.lane.Lane`."},
    {"packets", T_LONGLONG, offsetof(LaneObject, packets), 0, "See `sfu.rtp.lane.Lane`."},
    {"octets", T_LONGLONG, offsetof(LaneObject, octets), 0, "See `sfu.rtp.lane.Lane`."},
    {"last", T_OBJECT, offsetof(LaneObject, last), 0, "See `sfu.rtp.lane.Lane`."},
    {"settled", T_BOOL, offsetof(LaneObject, settled), 0, "See `sfu.rtp.lane.Lane`."},
    {0},
};

static PyType_Slot lane_slots[] = {
    {Py_tp_new, lane_new},         {Py_tp_traverse, lane_traverse}, {Py_tp_clear, lane_clear},
    {Py_tp_dealloc, lane_dealloc}, {Py_tp_methods, lane_methods},   {Py_tp_members, lane_members},
    {0},
};

PyType_Spec lane_spec = {
    .name = "sfu.plane.engine.native.Lane",
    .basicsize = sizeof(LaneObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = lane_slots,
};
