#include "numbers.h"

#include <string.h>

uint32_t numbers_add(NumbersObject *self, size_t size, double now) {
    uint64_t *next = self->next.buf;
    double *latest = self->latest.buf, *times = self->times.buf;
    uint32_t *sizes = self->sizes.buf;
    uint64_t number = (*next)++;
    if (now > *latest)
        *latest = now;
    else
        now = *latest; /* a packet out of a cache arrived earlier, but leaves after the one before */
    times[number & self->mask] = now;
    sizes[number & self->mask] = (uint32_t)size;
    return (uint32_t)(number & 0xFFFF);
}

/* Take hold of an array; -1 with an exception where its items are others. */
static int hold(PyObject *array, Py_buffer *buffer, char format, Py_ssize_t item, Py_ssize_t *count) {
    if (PyObject_GetBuffer(array, buffer, PyBUF_WRITABLE | PyBUF_FORMAT)) return -1;
    const char *found = buffer->format == NULL ? "B" : buffer->format;
    if (buffer->itemsize != item || found[0] != format || found[1] != 0) {
        PyErr_SetString(PyExc_TypeError, "an array of other items");
        return -1;
    }
    *count = buffer->len / item;
    return 0;
}

static PyObject *numbers_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords)) {
    PyObject *times, *sizes, *next, *latest;
    Py_ssize_t counts[4];
    if (!PyArg_ParseTuple(arguments, "OOOO", &times, &sizes, &next, &latest)) return NULL;
    NumbersObject *self = NEW(type, NumbersObject);
    if (self == NULL) return NULL;
    if (hold(times, &self->times, 'd', sizeof(double), &counts[0]) ||
        hold(sizes, &self->sizes, 'I', sizeof(uint32_t), &counts[1]) ||
        hold(next, &self->next, 'Q', sizeof(uint64_t), &counts[2]) ||
        hold(latest, &self->latest, 'd', sizeof(double), &counts[3])) {
        Py_DECREF(self);
        return NULL;
    }
    if (counts[0] < 1 || counts[0] & (counts[0] - 1) || counts[1] != counts[0] || counts[2] != 1 || counts[3] != 1) {
        Py_DECREF(self);
        PyErr_SetString(PyExc_ValueError, "arrays of other lengths");
        return NULL;
    }
    self->mask = (uint64_t)counts[0] - 1;
    return (PyObject *)self;
}

static void numbers_dealloc(PyObject *object) {
    NumbersObject *self = (NumbersObject *)object;
    PyBuffer_Release(&self->times);
    PyBuffer_Release(&self->sizes);
    PyBuffer_Release(&self->next);
    PyBuffer_Release(&self->latest);
    free_object(object);
}

static PyType_Slot numbers_slots[] = {
    {Py_tp_new, numbers_new},
    {Py_tp_dealloc, numbers_dealloc},
    {0},
};

PyType_Spec numbers_spec = {
    .name = "sfu.plane.engine.native.Numbers",
    .basicsize = sizeof(NumbersObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = numbers_slots,
};
