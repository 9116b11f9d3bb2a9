/* What all files of the module share that know Python: its stable ABI of 3.11, so that one build serves later ones. */
#ifndef MEET_NATIVE_H
#define MEET_NATIVE_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <stdint.h>
#include <structmember.h>

#include "aead.h"

/* The types, made once when the module is loaded. */
extern PyType_Spec outbox_spec, session_spec, receiver_spec, inbox_spec, numbers_spec, lane_spec, fan_spec;
extern PyTypeObject *outbox_type, *session_type, *numbers_type, *lane_type;

/* The names of attributes that are read once per packet. */
struct names {
    PyObject *above, *arrival, *attached, *dependency, *descriptor, *ends, *fileno, *frame, *index, *layer, *layered,
        *marker_type, *packet, *payload, *picture, *picture_at, *picture_bits, *prepare, *says_active,
        *spatial, *starts, *tail, *temporal, *time, *timestamp, *tl0, *tl0_at, *tl0_picture;
};
extern struct names names;

/* -1 with an exception where it is no whole number of 0 to `most`. */
int whole_number(PyObject *, uint64_t most, uint64_t *);

/* -1 with an exception where it is no `bytes`. The bytes live as long as the object. */
int bytes_of(PyObject *, struct piece *);

/* The same where another number of bytes than `size` is an error too. */
int bytes_of_size(PyObject *, size_t size, struct piece *);

/* An object of a type that was made from a spec; its memory is zero. */
#define NEW(type, Struct) ((Struct *)((allocfunc)PyType_GetSlot((type), Py_tp_alloc))((type), 0))

/* Let `field` hold on to `value`, a new reference or NULL, instead of what it had. */
#define SET(field, value)                                                                                           \
    do {                                                                                                            \
        PyObject *had = (PyObject *)(field);                                                                        \
        (field) = (void *)(value);                                                                                  \
        Py_XDECREF(had);                                                                                            \
    } while (0)

/* The number of a socket's file, -1 of one that is closed; -2 with an exception. It is asked for each time: the number
 * that a closed socket had may be another file's. */
int fd_of(PyObject *socket);

/* Free the memory of an object whose fields have been let go. */
void free_object(PyObject *);

#endif
