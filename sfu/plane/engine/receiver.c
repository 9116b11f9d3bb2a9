/* What one peer sends: `sfu.plane.gcm.GcmReceiver` in C. */
#include <string.h>

#include "native.h"
#include "srtp.h"

typedef struct {
    PyObject_HEAD
    struct srtp_receiver srtp;
} ReceiverObject;

static PyObject *receiver_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords)) {
    PyObject *parts[4];
    struct piece rtp_key, rtp_salt, rtcp_key, rtcp_salt;
    if (!PyArg_ParseTuple(arguments, "OOOO", &parts[0], &parts[1], &parts[2], &parts[3])) return NULL;
    if (bytes_of_size(parts[0], AEAD_KEY, &rtp_key) || bytes_of_size(parts[1], AEAD_SALT, &rtp_salt) ||
        bytes_of_size(parts[2], AEAD_KEY, &rtcp_key) || bytes_of_size(parts[3], AEAD_SALT, &rtcp_salt))
        return NULL;
    ReceiverObject *self = NEW(type, ReceiverObject);
    if (self == NULL) return NULL;
    if (aead_opener(&self->srtp.rtp, rtp_key.at, rtp_salt.at) ||
        aead_opener(&self->srtp.rtcp, rtcp_key.at, rtcp_salt.at)) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void receiver_dealloc(PyObject *object) {
    srtp_close(&((ReceiverObject *)object)->srtp);
    free_object(object);
}

typedef long (*open_function)(struct srtp_receiver *, const uint8_t *, size_t, uint8_t *);

/* It keeps the GIL: a packet takes less than letting go of it would. */
static PyObject *opened(PyObject *object, PyObject *datagram, open_function open) {
    ReceiverObject *self = (ReceiverObject *)object;
    struct piece sealed;
    uint8_t clear[MAX_PACKET];
    if (bytes_of(datagram, &sealed)) return NULL;
    long size = open(&self->srtp, sealed.at, sealed.size, clear);
    if (size < 0) Py_RETURN_NONE;
    return PyBytes_FromStringAndSize((const char *)clear, (Py_ssize_t)size);
}

static PyObject *receiver_open_rtp(PyObject *self, PyObject *datagram) {
    return opened(self, datagram, srtp_open_rtp);
}

static PyObject *receiver_open_rtcp(PyObject *self, PyObject *datagram) {
    return opened(self, datagram, srtp_open_rtcp);
}

static PyMethodDef receiver_methods[] = {
    {"open_rtp", receiver_open_rtp, METH_O, "The RTP packet; None where this is none, was forged or is a repeat."},
    {"open_rtcp", receiver_open_rtcp, METH_O, "The compound RTCP packet, or None."},
    {0},
};

static PyType_Slot receiver_slots[] = {
    {Py_tp_new, receiver_new},
    {Py_tp_dealloc, receiver_dealloc},
    {Py_tp_methods, receiver_methods},
    {0},
};

PyType_Spec receiver_spec = {
    .name = "sfu.plane.engine.native.Receiver",
    .basicsize = sizeof(ReceiverObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = receiver_slots,
};
