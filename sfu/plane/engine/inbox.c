/* What arrives on the UDP socket, some dozens of datagrams with one system call. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "native.h"
#include "outbox.h"

#ifndef SO_TIMESTAMPNS
#define SO_TIMESTAMPNS 35
#endif

enum {
    BATCH = 64,
    ROOM = 2048,        /* `sfu.plane.inbox.MAX_DATAGRAM`: what is longer is cut off, and fails its integrity check */
    SENDERS = 1024,     /* whose addresses are kept as Python has them; a power of two */
    STAMP = CMSG_SPACE(sizeof(struct timespec))
};

struct sender {
    union address address;
    socklen_t size;
    PyObject *tuple;
};

typedef struct {
    PyObject_HEAD
    PyObject *socket;
    struct mmsghdr headers[BATCH];
    struct iovec pieces[BATCH];
    union address addresses[BATCH];
    _Alignas(struct cmsghdr) char stamps[BATCH][STAMP];
    uint8_t room[BATCH][ROOM];
    struct sender senders[SENDERS];
} InboxObject;

static PyObject *inbox_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords)) {
    PyObject *socket;
    if (!PyArg_ParseTuple(arguments, "O", &socket)) return NULL;
    InboxObject *self = NEW(type, InboxObject);
    if (self == NULL) return NULL;
    self->socket = Py_NewRef(socket);
    return (PyObject *)self;
}

static void inbox_dealloc(PyObject *object) {
    InboxObject *self = (InboxObject *)object;
    for (int i = 0; i < SENDERS; i++) Py_XDECREF(self->senders[i].tuple);
    Py_XDECREF(self->socket);
    free_object(object);
}

static PyObject *tuple_of(const union address *address) {
    char host[INET6_ADDRSTRLEN];
    if (address->any.sa_family == AF_INET) {
        if (inet_ntop(AF_INET, &address->ip4.sin_addr, host, sizeof host) == NULL) return PyErr_NoMemory();
        return Py_BuildValue("(si)", host, ntohs(address->ip4.sin_port));
    }
    if (inet_ntop(AF_INET6, &address->ip6.sin6_addr, host, sizeof host) == NULL) return PyErr_NoMemory();
    return Py_BuildValue("(siII)", host, ntohs(address->ip6.sin6_port), ntohl(address->ip6.sin6_flowinfo),
                         address->ip6.sin6_scope_id);
}

/* FNV-1a: the ports of one host differ in two bytes. */
static uint32_t hash(const uint8_t *at, size_t size) {
    uint32_t sum = 2166136261u;
    for (size_t i = 0; i < size; i++) sum = (sum ^ at[i]) * 16777619u;
    return sum ^ sum >> 16;
}

/* The address as `socket.recvfrom` gives it: the same object again for who sends much, so that no text is made. */
static PyObject *sender_of(InboxObject *self, const union address *address, socklen_t size) {
    struct sender *sender = &self->senders[hash((const uint8_t *)address, size) % SENDERS];
    if (sender->size != size || memcmp(&sender->address, address, size) != 0) {
        PyObject *made = tuple_of(address);
        if (made == NULL) return NULL;
        SET(sender->tuple, made);
        sender->address = *address;
        sender->size = size;
    }
    return Py_NewRef(sender->tuple);
}

/* How long before `now` the kernel had a datagram, in seconds; 0 where it does not say. See `sfu.udp.age`. */
static double age_of(struct msghdr *header, const struct timespec *now) {
    for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control != NULL; control = CMSG_NXTHDR(header, control)) {
        struct timespec stamp;
        if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SO_TIMESTAMPNS) continue;
        if (control->cmsg_len != CMSG_LEN(sizeof stamp)) continue;
        memcpy(&stamp, CMSG_DATA(control), sizeof stamp);
        double past = (double)(now->tv_sec - stamp.tv_sec) + (double)(now->tv_nsec - stamp.tv_nsec) * 1e-9;
        return past > -1.0 && past < 1.0 ? past : 0.0; /* further off: the wall clock was set meanwhile */
    }
    return 0.0;
}

static void prepare(InboxObject *self) {
    for (int i = 0; i < BATCH; i++) {
        self->pieces[i] = (struct iovec){self->room[i], ROOM};
        self->headers[i].msg_hdr = (struct msghdr){.msg_name = &self->addresses[i],
                                                   .msg_namelen = sizeof self->addresses[i],
                                                   .msg_iov = &self->pieces[i],
                                                   .msg_iovlen = 1,
                                                   .msg_control = self->stamps[i],
                                                   .msg_controllen = STAMP};
    }
}

static PyObject *arrival_of(InboxObject *self, int i, const struct timespec *now) {
    struct msghdr *header = &self->headers[i].msg_hdr;
    PyObject *address = sender_of(self, &self->addresses[i], header->msg_namelen);
    if (address == NULL) return NULL;
    return Py_BuildValue("(y#Nd)", (const char *)self->room[i], (Py_ssize_t)self->headers[i].msg_len, address,
                         age_of(header, now));
}

static PyObject *inbox_receive(PyObject *object, PyObject *Py_UNUSED(nothing)) {
    InboxObject *self = (InboxObject *)object;
    int fd = fd_of(self->socket), count, error;
    if (fd == -2) return NULL;
    struct timespec now;
    prepare(self);
    Py_BEGIN_ALLOW_THREADS
    count = recvmmsg(fd, self->headers, BATCH, MSG_DONTWAIT, NULL);
    error = errno;
    clock_gettime(CLOCK_REALTIME, &now);
    Py_END_ALLOW_THREADS
    if (count < 0 && error != EAGAIN && error != EWOULDBLOCK && error != EINTR) {
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    if (count < 0) count = 0;
    PyObject *arrivals = PyList_New(count);
    for (int i = 0; arrivals != NULL && i < count; i++) {
        PyObject *arrival = arrival_of(self, i, &now);
        if (arrival == NULL || PyList_SetItem(arrivals, i, arrival)) Py_CLEAR(arrivals);
    }
    return arrivals;
}

static PyMethodDef inbox_methods[] = {
    {"receive", inbox_receive, METH_NOARGS, "The next datagrams, each with its sender's address and its age."},
    {0},
};

static PyType_Slot inbox_slots[] = {
    {Py_tp_new, inbox_new},
    {Py_tp_dealloc, inbox_dealloc},
    {Py_tp_methods, inbox_methods},
    {0},
};

PyType_Spec inbox_spec = {
    .name = "sfu.plane.engine.native.Inbox",
    .basicsize = sizeof(InboxObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = inbox_slots,
};
