"""CLBlast: a product for each matrix of an expert on the first OpenCL device, the rest as with OpenBLAS."""

import ctypes

import numpy
from openblas import OpenBLAS
from protocol import Refusal, serve

READ_WRITE, USE_HOST_POINTER, ALL_DEVICES, NAME = 1 << 0, 1 << 3, 0xFFFFFFFF, 0x102B
ROW_MAJOR, AS_IT_LIES, TRANSPOSED = 101, 111, 112

P, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int


class CLBlast(OpenBLAS):
    def __init__(self):
        super().__init__()
        self.version, self.buffers, self.rows = "CLBlast 1", {}, {}

    def load(self, layer, name):
        try:
            self.cl, self.library = ctypes.CDLL("libOpenCL.so.1"), ctypes.CDLL("libclblast.so.1")
        except OSError as reason:
            raise Refusal(f"{reason}; Debian's package libclblast1 has it") from reason
        device = self.open()
        self.library.CLBlastSgemm.argtypes = [
            number, number, number, size, size, size, ctypes.c_float, P, size, size, P, size, size, ctypes.c_float, P, size, size, P, P]
        self.layer, self.weights = layer, {role: layer.values(role) for role in layer.ROLES}
        for role, values in self.weights.items():
            self.buffers[role] = [self.buffer(expert.nbytes, expert.ctypes.data) for expert in values]
        return f"products of {device}, expert after expert, weights where the host has them; SwiGLU and sum in numpy"

    def open(self):
        """Makes context and queue; returns the device's name."""
        cl, status, platform, device, name = self.cl, number(), P(), P(), ctypes.create_string_buffer(256)
        for call in ("clCreateContext", "clCreateCommandQueue", "clCreateBuffer"):
            getattr(cl, call).restype = P
        if cl.clGetPlatformIDs(1, ctypes.byref(platform), None) or cl.clGetDeviceIDs(
                platform, ctypes.c_uint64(ALL_DEVICES), 1, ctypes.byref(device), None):
            raise Refusal("there is no OpenCL device")
        cl.clGetDeviceInfo(device, NAME, size(256), name, None)
        self.context = P(cl.clCreateContext(None, 1, ctypes.byref(device), None, None, ctypes.byref(status)))
        self.queue = P(cl.clCreateCommandQueue(self.context, device, ctypes.c_uint64(0), ctypes.byref(status)))
        return name.value.decode()

    def buffer(self, bytes, host=None):
        status = number()
        made = self.cl.clCreateBuffer(
            self.context, ctypes.c_uint64(READ_WRITE | (USE_HOST_POINTER if host else 0)), size(bytes), P(host), ctypes.byref(status))
        if status.value:
            raise Refusal(f"clCreateBuffer of {bytes} bytes: {status.value}")
        return P(made)

    def row_buffer(self, name, array):
        """A buffer that holds at least `array`, kept from call to call."""
        if self.rows.get(name, (0,))[0] < array.nbytes:
            if name in self.rows:
                self.cl.clReleaseMemObject(self.rows[name][1])
            self.rows[name] = array.nbytes, self.buffer(array.nbytes)
        return self.rows[name][1]

    def product(self, rows, role, expert):
        count, outputs, inputs = len(rows), self.weights[role].shape[1], rows.shape[1]
        result = numpy.empty((count, outputs), numpy.float32)
        x, y = self.row_buffer("x", rows), self.row_buffer("y", result)
        self.checked(self.cl.clEnqueueWriteBuffer(self.queue, x, 0, size(0), size(rows.nbytes), P(rows.ctypes.data), 0, None, None))
        self.checked(self.library.CLBlastSgemm(
            ROW_MAJOR, AS_IT_LIES, TRANSPOSED, count, outputs, inputs, 1, x, 0, inputs, self.buffers[role][expert], 0, inputs, 0, y, 0, outputs,
            ctypes.byref(self.queue), None))
        self.checked(self.cl.clEnqueueReadBuffer(self.queue, y, 1, size(0), size(result.nbytes), P(result.ctypes.data), 0, None, None))
        return result

    def checked(self, status):
        if status:
            raise RuntimeError(f"OpenCL status {status}")


if __name__ == "__main__":
    serve(CLBlast())
