#include "session.h"

#include <string.h>

#include "srtp.h"
#include "wire.h"

enum { RTCP_HEADER = 8, TRAILER = 4 };

int session_queue(SessionObject *self, struct aead *aead, struct job *job) {
    size_t size = job_size(job);
    job->aead = aead;
    job->owners[0] = Py_NewRef((PyObject *)self);
    int queued = box_queue(self->box, &self->serial, &self->address, self->address_size, job);
    if (queued < 0) return -1;
    if (queued) {
        self->packets_sent++;
        self->bytes_sent += size;
    } else {
        self->unsent++;
    }
    return 0;
}

static PyObject *session_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords)) {
    PyObject *box, *parts[4];
    struct piece rtp_key, rtp_salt, rtcp_key, rtcp_salt;
    if (!PyArg_ParseTuple(arguments, "O!OOOO", outbox_type, &box, &parts[0], &parts[1], &parts[2], &parts[3]))
        return NULL;
    if (bytes_of_size(parts[0], AEAD_KEY, &rtp_key) || bytes_of_size(parts[1], AEAD_SALT, &rtp_salt) ||
        bytes_of_size(parts[2], AEAD_KEY, &rtcp_key) || bytes_of_size(parts[3], AEAD_SALT, &rtcp_salt))
        return NULL;
    SessionObject *self = NEW(type, SessionObject);
    if (self == NULL) return NULL;
    self->box = (BoxObject *)Py_NewRef(box);
    if (aead_sealer(&self->rtp, rtp_key.at, rtp_salt.at) || aead_sealer(&self->rtcp, rtcp_key.at, rtcp_salt.at)) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static int session_traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(object));
    Py_VISIT((PyObject *)((SessionObject *)object)->box);
    return 0;
}

static int session_clear(PyObject *object) {
    Py_CLEAR(((SessionObject *)object)->box);
    return 0;
}

static void session_dealloc(PyObject *object) {
    SessionObject *self = (SessionObject *)object;
    PyObject_GC_UnTrack(object);
    session_clear(object);
    aead_close(&self->rtp);
    aead_close(&self->rtcp);
    free_object(object);
}

static int usable(SessionObject *self, Py_ssize_t given, Py_ssize_t taken) {
    if (given != taken) {
        PyErr_Format(PyExc_TypeError, "%zd arguments instead of %zd", given, taken);
        return -1;
    }
    if (self->box == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the session is gone");
        return -1;
    }
    return box_is_ours(self->box);
}

static PyObject *session_direct(PyObject *object, PyObject *address) {
    SessionObject *self = (SessionObject *)object;
    union address found;
    socklen_t size = 0;
    if (usable(self, 1, 1)) return NULL;
    if (address != Py_None && address_of(address, &found, &size)) return NULL;
    if (size != 0) self->address = found;
    self->address_size = size;
    self->serial = 0;
    Py_RETURN_NONE;
}

static int read_rtp(PyObject *const *arguments, uint32_t *ssrc, uint64_t *index, struct piece *header,
                    struct piece *payload) {
    uint64_t number;
    if (whole_number(arguments[0], UINT32_MAX, &number) || whole_number(arguments[1], MAX_INDEX, index) ||
        bytes_of(arguments[2], header) || bytes_of(arguments[3], payload))
        return -1;
    *ssrc = (uint32_t)number;
    if (header->size + payload->size <= MAX_PACKET) return 0;
    PyErr_SetString(PyExc_ValueError, "no datagram can be so long");
    return -1;
}

static PyObject *session_send_rtp(PyObject *object, PyObject *const *arguments, Py_ssize_t count) {
    SessionObject *self = (SessionObject *)object;
    uint32_t ssrc;
    uint64_t index;
    struct piece header, payload;
    if (usable(self, count, 4) || read_rtp(arguments, &ssrc, &index, &header, &payload)) return NULL;
    if (self->address_size == 0) {
        self->unsent++;
        Py_RETURN_NONE;
    }
    struct job *job = box_job(self->box);
    if (job == NULL) return NULL;
    job->ssrc = ssrc;
    job->index = index;
    job->clear = header;
    job->plain[0] = payload;
    job->owners[1] = Py_NewRef(arguments[2]);
    job->owners[2] = Py_NewRef(arguments[3]);
    if (session_queue(self, &self->rtp, job)) return NULL;
    Py_RETURN_NONE;
}

static PyObject *session_seal_rtp(PyObject *object, PyObject *const *arguments, Py_ssize_t count) {
    SessionObject *self = (SessionObject *)object;
    uint32_t ssrc;
    uint64_t index;
    struct piece header[2] = {{0}}, payload[2] = {{0}};
    if (usable(self, count, 4) || read_rtp(arguments, &ssrc, &index, &header[0], &payload[0])) return NULL;
    PyObject *sealed = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(payload[0].size + AEAD_TAG));
    if (sealed == NULL) return NULL;
    if (aead_seal(&self->rtp, ssrc, index, header, payload, (uint8_t *)PyBytes_AsString(sealed)) == 0) return sealed;
    Py_DECREF(sealed);
    Py_RETURN_NONE;
}

/* Read a compound packet and take the next index: 1; 0 where the key has served its time; -1 with an exception. */
static int take_rtcp(SessionObject *self, PyObject *argument, struct piece *packet, uint8_t trailer[TRAILER],
                     uint64_t *index) {
    if (usable(self, 1, 1) || bytes_of(argument, packet)) return -1;
    if (packet->size < RTCP_HEADER || packet->size > MAX_PACKET) {
        PyErr_SetString(PyExc_ValueError, "no RTCP packet is so short, or so long");
        return -1;
    }
    if (self->rtcp_index >= SRTCP_ENCRYPTED) return 0;
    *index = self->rtcp_index++;
    put32(trailer, SRTCP_ENCRYPTED | (uint32_t)*index);
    return 1;
}

static PyObject *session_send_rtcp(PyObject *object, PyObject *argument) {
    SessionObject *self = (SessionObject *)object;
    struct piece packet;
    uint8_t trailer[TRAILER];
    uint64_t index;
    int taken = take_rtcp(self, argument, &packet, trailer, &index);
    if (taken < 0) return NULL;
    if (taken == 0 || self->address_size == 0) {
        self->unsent++;
        Py_RETURN_NONE;
    }
    struct job *job = box_job(self->box);
    if (job == NULL) return NULL;
    memcpy(job->own, trailer, TRAILER);
    job->ssrc = get32(packet.at + 4);
    job->index = index;
    job->clear = (struct piece){packet.at, RTCP_HEADER};
    job->plain[0] = (struct piece){packet.at + RTCP_HEADER, packet.size - RTCP_HEADER};
    job->trailer = (struct piece){job->own, TRAILER};
    job->owners[1] = Py_NewRef(argument);
    if (session_queue(self, &self->rtcp, job)) return NULL;
    Py_RETURN_NONE;
}

static PyObject *session_seal_rtcp(PyObject *object, PyObject *argument) {
    SessionObject *self = (SessionObject *)object;
    struct piece packet;
    uint8_t trailer[TRAILER];
    uint64_t index;
    int taken = take_rtcp(self, argument, &packet, trailer, &index);
    if (taken < 0) return NULL;
    if (taken == 0) Py_RETURN_NONE;
    size_t size = packet.size + AEAD_TAG + TRAILER;
    PyObject *sealed = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (sealed == NULL) return NULL;
    uint8_t *out = (uint8_t *)PyBytes_AsString(sealed);
    const struct piece associated[2] = {{packet.at, RTCP_HEADER}, {trailer, TRAILER}};
    const struct piece plain[2] = {{packet.at + RTCP_HEADER, packet.size - RTCP_HEADER}, {NULL, 0}};
    memcpy(out, packet.at, RTCP_HEADER);
    memcpy(out + size - TRAILER, trailer, TRAILER);
    if (aead_seal(&self->rtcp, get32(packet.at + 4), index, associated, plain, out + RTCP_HEADER) == 0) return sealed;
    Py_DECREF(sealed);
    Py_RETURN_NONE;
}

static PyMethodDef session_methods[] = {
    {"direct", session_direct, METH_O, "Where packets go from now on; None: nowhere, they are only sealed."},
    {"send_rtp", (PyCFunction)(void (*)(void))session_send_rtp, METH_FASTCALL, "As of PlaneSession."},
    {"send_rtcp", session_send_rtcp, METH_O, "As of PlaneSession."},
    {"seal_rtp", (PyCFunction)(void (*)(void))session_seal_rtp, METH_FASTCALL, "What follows the header."},
    {"seal_rtcp", session_seal_rtcp, METH_O, "The SRTCP packet; None where the key has served its time."},
    {0},
};

static PyMemberDef session_members[] = {
    {"packets_sent", T_ULONGLONG, offsetof(SessionObject, packets_sent), READONLY, "Packets that were queued."},
    {"bytes_sent", T_ULONGLONG, offsetof(SessionObject, bytes_sent), READONLY, "Encrypted bytes of these."},
    {"unsent", T_ULONGLONG, offsetof(SessionObject, unsent), READONLY, "Packets that were dropped instead."},
    {"rtcp_index", T_ULONGLONG, offsetof(SessionObject, rtcp_index), 0, "The next SRTCP index."},
    {0},
};

static PyType_Slot session_slots[] = {
    {Py_tp_new, session_new},         {Py_tp_traverse, session_traverse}, {Py_tp_clear, session_clear},
    {Py_tp_dealloc, session_dealloc}, {Py_tp_methods, session_methods},   {Py_tp_members, session_members},
    {0},
};

PyType_Spec session_spec = {
    .name = "sfu.plane.engine.native.Session",
    .basicsize = sizeof(SessionObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = session_slots,
};
