"""Arrays that offer DLPack and nothing else, made here after its specification (version 1.0)."""

import ctypes
from ctypes import (
    POINTER,
    c_char_p,
    c_int32,
    c_int64,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)

CPU, CUDA, CUDA_HOST = 1, 2, 3
_FLOAT, _READ_ONLY = 2, 1

_deleter = ctypes.CFUNCTYPE(None, c_void_p)


class Tensor(ctypes.Structure):
    """`DLTensor`"""

    _fields_ = [
        ("data", c_void_p),
        ("device_type", c_int32),
        ("device_id", c_int32),
        ("ndim", c_int32),
        ("code", c_uint8),
        ("bits", c_uint8),
        ("lanes", c_uint16),
        ("shape", POINTER(c_int64)),
        ("strides", POINTER(c_int64)),
        ("byte_offset", c_uint64),
    ]


class Managed(ctypes.Structure):
    """`DLManagedTensor`"""

    _fields_ = [("tensor", Tensor), ("context", c_void_p), ("deleter", _deleter)]


class Versioned(ctypes.Structure):
    """`DLManagedTensorVersioned`"""

    _fields_ = [
        ("major", c_uint32),
        ("minor", c_uint32),
        ("context", c_void_p),
        ("deleter", _deleter),
        ("flags", c_uint64),
        ("tensor", Tensor),
    ]


_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.restype = ctypes.py_object
_capsule.argtypes = [c_void_p, c_char_p, c_void_p]


class Producer:
    """Shows the memory of a numpy array by DLPack alone; `lent` counts who still has it."""

    def __init__(self, array, read_only=False, versioned=True, device=CPU):
        self.array, self.read_only, self.versioned = array, read_only, versioned
        self.device, self.lent = device, 0
        self._alive = {}

    def __dlpack_device__(self):
        return self.device, 0

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        versioned = self.versioned and max_version is not None and max_version[0] >= 1
        managed = Versioned() if versioned else Managed()
        if versioned:
            managed.major, managed.flags = 1, _READ_ONLY * self.read_only
        array, tensor = self.array, managed.tensor
        number = array.itemsize
        numbers = c_int64 * array.ndim
        shape = numbers(*array.shape)
        strides = numbers(*(stride // number for stride in array.strides))
        tensor.data, tensor.byte_offset = array.ctypes.data, 0
        tensor.device_type, tensor.ndim = self.device, array.ndim
        tensor.code, tensor.bits, tensor.lanes = _FLOAT, 8 * number, 1
        tensor.shape = ctypes.cast(shape, POINTER(c_int64))
        tensor.strides = ctypes.cast(strides, POINTER(c_int64))
        address = ctypes.addressof(managed)

        def delete(_):
            self.lent -= 1

        managed.deleter = _deleter(delete)
        # Freed with the producer, not while its own deleter runs.
        self._alive[address] = managed, shape, strides
        self.lent += 1
        return _capsule(address, b"dltensor_versioned" if versioned else b"dltensor", None)
