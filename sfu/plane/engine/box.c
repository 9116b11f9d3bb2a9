#include "box.h"

#include <arpa/inet.h>
#include <pythread.h>
#include <string.h>

int box_is_ours(const BoxObject *self) {
    if (self->thread == PyThread_get_thread_ident()) return 0;
    PyErr_SetString(PyExc_RuntimeError, "an outbox and its sessions belong to the thread that made them");
    return -1;
}

struct job *box_job(BoxObject *self) {
    struct job *job = outbox_job(&self->box);
    if (job == NULL) PyErr_NoMemory();
    return job;
}

void box_drop(BoxObject *self, struct job *job) {
    PyObject *owners[JOB_OWNERS];
    memcpy(owners, job->owners, sizeof owners);
    outbox_give_back(&self->box, job);
    for (int i = 0; i < JOB_OWNERS; i++) Py_XDECREF(owners[i]);
}

static void drop_done(BoxObject *self) {
    struct job *job = outbox_take_done(&self->box);
    while (job != NULL) {
        struct job *next = job->next;
        box_drop(self, job);
        job = next;
    }
}

/* Everything that waits is dropped: there is no socket any more. */
static void discard(BoxObject *self) {
    struct outbox *box = &self->box;
    for (; box->head < box->end; box->head++) {
        struct run *run = &box->runs[box->head % MAX_RUNS];
        box->dropped += run->count;
        run->last->next = box->done;
        box->done = run->first;
    }
    drop_done(self);
}

static int flush(BoxObject *self) {
    self->box.fd = fd_of(self->socket);
    if (self->box.fd == -2) return -1;
    if (self->box.fd == -1) {
        discard(self);
        return 0;
    }
    Py_BEGIN_ALLOW_THREADS
    outbox_flush(&self->box);
    Py_END_ALLOW_THREADS
    drop_done(self);
    return 0;
}

int box_queue(BoxObject *self, uint64_t *serial, const union address *address, socklen_t address_size,
              struct job *job) {
    if (outbox_full(&self->box) && flush(self)) {
        box_drop(self, job);
        return -1;
    }
    int first = outbox_waiting(&self->box) == 0;
    if (outbox_queue(&self->box, serial, address, address_size, job)) {
        self->box.dropped++;
        box_drop(self, job);
        return 0;
    }
    if (!first) return 1;
    PyObject *nothing = PyObject_CallNoArgs(self->wake);
    Py_XDECREF(nothing);
    return nothing == NULL ? -1 : 1;
}

int address_of(PyObject *value, union address *address, socklen_t *size) {
    const char *host;
    int port, flow = 0, scope = 0;
    memset(address, 0, sizeof *address);
    if (!PyTuple_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "an address is a tuple");
        return -1;
    }
    if (!PyArg_ParseTuple(value, "si|ii", &host, &port, &flow, &scope)) return -1;
    if (port < 0 || port > 0xFFFF) {
        PyErr_SetString(PyExc_ValueError, "a port is 0 to 65535");
        return -1;
    }
    if (inet_pton(AF_INET, host, &address->ip4.sin_addr) == 1) {
        address->ip4.sin_family = AF_INET;
        address->ip4.sin_port = htons((uint16_t)port);
        *size = sizeof address->ip4;
        return 0;
    }
    if (inet_pton(AF_INET6, host, &address->ip6.sin6_addr) == 1) {
        address->ip6.sin6_family = AF_INET6;
        address->ip6.sin6_port = htons((uint16_t)port);
        address->ip6.sin6_flowinfo = htonl((uint32_t)flow);
        address->ip6.sin6_scope_id = (uint32_t)scope;
        *size = sizeof address->ip6;
        return 0;
    }
    PyErr_SetString(PyExc_ValueError, "an address has no names but numbers");
    return -1;
}

/* --- the type */

static PyObject *box_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords)) {
    PyObject *socket, *wake;
    if (!PyArg_ParseTuple(arguments, "OO", &socket, &wake)) return NULL;
    int fd = fd_of(socket);
    if (fd == -2) return NULL;
    BoxObject *self = NEW(type, BoxObject);
    if (self == NULL) return NULL;
    self->socket = Py_NewRef(socket);
    self->wake = Py_NewRef(wake);
    self->thread = PyThread_get_thread_ident();
    if (outbox_open(&self->box, fd)) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static int box_traverse(PyObject *object, visitproc visit, void *arg) {
    BoxObject *self = (BoxObject *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->socket);
    Py_VISIT(self->wake);
    for (uint64_t serial = self->box.head; serial < self->box.end; serial++)
        for (struct job *job = self->box.runs[serial % MAX_RUNS].first; job != NULL; job = job->next)
            for (int i = 0; i < JOB_OWNERS; i++) Py_VISIT((PyObject *)job->owners[i]);
    return 0;
}

static int box_clear(PyObject *object) {
    BoxObject *self = (BoxObject *)object;
    discard(self);
    Py_CLEAR(self->socket);
    Py_CLEAR(self->wake);
    return 0;
}

static void box_dealloc(PyObject *object) {
    PyObject_GC_UnTrack(object);
    box_clear(object);
    outbox_close(&((BoxObject *)object)->box);
    free_object(object);
}

static PyObject *box_flush(PyObject *object, PyObject *Py_UNUSED(nothing)) {
    BoxObject *self = (BoxObject *)object;
    if (box_is_ours(self) || flush(self)) return NULL;
    Py_RETURN_NONE;
}

static Py_ssize_t box_length(PyObject *object) { return (Py_ssize_t)outbox_waiting(&((BoxObject *)object)->box); }

static PyMethodDef box_methods[] = {
    {"flush", box_flush, METH_NOARGS, "Send everything, or as much as the kernel takes; the rest waits."},
    {0},
};

static PyMemberDef box_members[] = {
    {"departed", T_ULONGLONG, offsetof(BoxObject, box.departed), READONLY, "Packets given to the kernel."},
    {"dropped", T_ULONGLONG, offsetof(BoxObject, box.dropped), READONLY, "Packets the kernel would not take."},
    {"segments", T_INT, offsetof(BoxObject, box.segments), 0, "Whether equal packets leave together."},
    {0},
};

static PyType_Slot box_slots[] = {
    {Py_tp_new, box_new},         {Py_tp_traverse, box_traverse}, {Py_tp_clear, box_clear},
    {Py_tp_dealloc, box_dealloc}, {Py_tp_methods, box_methods},   {Py_tp_members, box_members},
    {Py_sq_length, box_length},   {0},
};

PyType_Spec outbox_spec = {
    .name = "sfu.plane.engine.native.Outbox",
    .basicsize = sizeof(BoxObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = box_slots,
};
