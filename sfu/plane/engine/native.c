/* The module: its types, and the few helpers that all of them use. */
#include "native.h"

#include "libcrypto.h"

struct names names;
PyTypeObject *outbox_type, *session_type, *numbers_type, *lane_type;

int whole_number(PyObject *value, uint64_t most, uint64_t *number) {
    unsigned long long found = PyLong_AsUnsignedLongLong(value);
    if (found == (unsigned long long)-1 && PyErr_Occurred()) return -1;
    if (found > most) {
        PyErr_SetString(PyExc_ValueError, "the number is too large");
        return -1;
    }
    *number = found;
    return 0;
}

int bytes_of(PyObject *value, struct piece *piece) {
    char *at;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(value, &at, &size)) return -1;
    *piece = (struct piece){(const uint8_t *)at, (size_t)size};
    return 0;
}

int bytes_of_size(PyObject *value, size_t size, struct piece *piece) {
    if (bytes_of(value, piece)) return -1;
    if (piece->size == size) return 0;
    PyErr_SetString(PyExc_ValueError, "a key or a salt of another length");
    return -1;
}

int fd_of(PyObject *socket) {
    PyObject *number = PyObject_CallMethodObjArgs(socket, names.fileno, NULL);
    if (number == NULL) return -2;
    long fd = PyLong_AsLong(number);
    Py_DECREF(number);
    if (fd == -1 && PyErr_Occurred()) return -2;
    return fd < 0 ? -1 : (int)fd;
}

void free_object(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static int intern(void) {
    const struct {
        PyObject **name;
        const char *text;
    } all[] = {
        {&names.above, "above"},
        {&names.arrival, "arrival"},
        {&names.attached, "attached"},
        {&names.dependency, "dependency"},
        {&names.descriptor, "descriptor"},
        {&names.ends, "ends"},
        {&names.fileno, "fileno"},
        {&names.frame, "frame"},
        {&names.index, "index"},
        {&names.layer, "layer"},
        {&names.layered, "layered"},
        {&names.marker_type, "marker_type"},
        {&names.packet, "packet"},
        {&names.payload, "payload"},
        {&names.picture, "picture"},
        {&names.picture_at, "picture_at"},
        {&names.picture_bits, "picture_bits"},
        {&names.prepare, "prepare"},
        {&names.says_active, "says_active"},
        {&names.spatial, "spatial"},
        {&names.starts, "starts"},
        {&names.tail, "tail"},
        {&names.time, "time"},
        {&names.timestamp, "timestamp"},
        {&names.tl0, "tl0"},
        {&names.tl0_at, "tl0_at"},
        {&names.tl0_picture, "tl0_picture"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if ((*all[i].name = PyUnicode_InternFromString(all[i].text)) == NULL) return -1;
    return 0;
}

/* Make a type and show it; `kept` is where to keep it, if anybody asks for it. */
static int add(PyObject *module, PyType_Spec *spec, PyTypeObject **kept) {
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (type == NULL || PyModule_AddType(module, (PyTypeObject *)type)) {
        Py_XDECREF(type);
        return -1;
    }
    if (kept != NULL)
        *kept = (PyTypeObject *)type;
    else
        Py_DECREF(type);
    return 0;
}

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "sfu.plane.engine.native",
    .m_doc = "What is done to every packet: decrypt, rewrite for each subscriber, encrypt, send.",
    .m_size = -1, /* one interpreter: the types are kept in variables of the file */
};

PyMODINIT_FUNC PyInit_native(void) {
    const char *missing = libcrypto_load();
    if (missing != NULL) {
        PyErr_SetString(PyExc_ImportError, missing);
        return NULL;
    }
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL) return NULL;
    if (intern() || add(module, &outbox_spec, &outbox_type) || add(module, &session_spec, &session_type) ||
        add(module, &receiver_spec, NULL) || add(module, &inbox_spec, NULL) ||
        add(module, &numbers_spec, &numbers_type) || add(module, &lane_spec, &lane_type) ||
        add(module, &fan_spec, NULL)) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
