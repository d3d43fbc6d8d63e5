// An OpenCL driver for the ICD loader that computes nothing and fails as it is told.
//
// MOCK_FAIL="clBuildProgram=-11" makes a call return a status, "clBuildProgram=hang" makes it never return; MOCK_EVENT gives launches a state to
// stay in: 0 complete, 1 running for ever, negative a failure that shows later. MOCK_EXTENSIONS is what the device says it extends OpenCL by, MOCK_GROUP
// the most items of a group. Compiled with -DHEALTHY it fails at nothing.
#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl.h>
#include <CL/cl_icd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/// What every handle points to.
struct object {
  const cl_icd_dispatch *dispatch;
  void *memory;
  cl_int state;
};
static const cl_icd_dispatch table;
static struct object platform = {&table, NULL, 0}, device = {&table, NULL, 0};

static cl_int status_of(const char *call) {
#ifdef HEALTHY
  return CL_SUCCESS;
#endif
  const char *wanted = getenv("MOCK_FAIL");
  size_t length = strlen(call);
  if (!wanted || strncmp(wanted, call, length) || wanted[length] != '=') return CL_SUCCESS;
  while (strcmp(wanted + length + 1, "hang") == 0) pause();
  return atoi(wanted + length + 1);
}

static void *make(size_t bytes, cl_int state) {
  struct object *made = calloc(1, sizeof *made);
  *made = (struct object){&table, bytes ? calloc(1, bytes) : NULL, state};
  return made;
}

static void *made_by(const char *call, size_t bytes, cl_int *status) {
  cl_int result = status_of(call);
  if (status) *status = result;
  return result ? NULL : make(bytes, 0);
}

static cl_int released(const char *call, void *handle) {
  struct object *object = handle;
  cl_int status = status_of(call);
  if (status) return status;
  free(object->memory);
  free(object);
  return CL_SUCCESS;
}

static cl_int tell(const void *value, size_t bytes, size_t room, void *out, size_t *size) {
  if (size) *size = bytes;
  if (out && room >= bytes) memcpy(out, value, bytes);
  return CL_SUCCESS;
}

static cl_int get_platform_info(cl_platform_id p, cl_platform_info what, size_t room, void *out, size_t *size) {
  const char *text = what == CL_PLATFORM_EXTENSIONS ? "cl_khr_icd" : what == CL_PLATFORM_ICD_SUFFIX_KHR ? "MOCK" : "Mock 1.2";
  cl_int status = what == CL_PLATFORM_NAME ? status_of("clGetPlatformInfo") : CL_SUCCESS;
  return status ? status : tell(text, strlen(text) + 1, room, out, size);
}

static cl_int get_device_ids(cl_platform_id p, cl_device_type type, cl_uint room, cl_device_id *out, cl_uint *count) {
  if (count) *count = 1;
  if (out && room) *out = (cl_device_id)&device;
  return status_of("clGetDeviceIDs");
}

static cl_int get_device_info(cl_device_id d, cl_device_info what, size_t room, void *out, size_t *size) {
  cl_int status = status_of("clGetDeviceInfo");
  if (status) return status;
  const char *extensions = getenv("MOCK_EXTENSIONS") ? getenv("MOCK_EXTENSIONS") : "";
  cl_ulong number = what == CL_DEVICE_TYPE ? CL_DEVICE_TYPE_GPU : what == CL_DEVICE_HOST_UNIFIED_MEMORY ? 0
                    : what == CL_DEVICE_GLOBAL_MEM_SIZE || what == CL_DEVICE_MAX_MEM_ALLOC_SIZE ? 1 << 30 : 1 << 16;
  switch (what) {
    case CL_DEVICE_NAME: case CL_DEVICE_VENDOR: case CL_DRIVER_VERSION: case CL_DEVICE_VERSION: return tell("Mock", 5, room, out, size);
    case CL_DEVICE_EXTENSIONS: return tell(extensions, strlen(extensions) + 1, room, out, size);
    // Three ways to tell the PCI address 81:02.1, the first with a domain.
    case 0x410F: return tell((cl_uint[]){1, 0x81, 2, 1}, 16, room, out, size);
    case 0x4008: return tell(&(cl_uint){0x81}, 4, room, out, size);
    case 0x4009: return tell(&(cl_uint){2 << 3 | 1}, 4, room, out, size);
    case 0x400A: return CL_INVALID_VALUE;
    case 0x4037: return tell((cl_uint[]){1, 0, 0, 0, 0, 0x01028100}, 24, room, out, size);
    default: return tell(&number, room < sizeof number ? room : sizeof number, room, out, size);
  }
}

static cl_context create_context(
    const cl_context_properties *properties, cl_uint count, const cl_device_id *devices,
    void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *data, cl_int *status) {
  return made_by("clCreateContext", 0, status);
}
static cl_command_queue create_queue(cl_context c, cl_device_id d, const cl_queue_properties *properties, cl_int *status) {
  return made_by("clCreateCommandQueueWithProperties", 0, status);
}
static cl_mem create_buffer(cl_context c, cl_mem_flags flags, size_t bytes, void *host, cl_int *status) {
  return made_by("clCreateBuffer", bytes, status);
}
static cl_program create_program(cl_context c, cl_uint count, const char **texts, const size_t *lengths, cl_int *status) {
  return made_by("clCreateProgramWithSource", 0, status);
}
static cl_int build_program(
    cl_program p, cl_uint count, const cl_device_id *devices, const char *options, void(CL_CALLBACK *notify)(cl_program, void *), void *data) {
  return status_of("clBuildProgram");
}
static cl_int get_program_info(cl_program p, cl_program_info what, size_t room, void *out, size_t *size) { return CL_INVALID_VALUE; }
static cl_int get_build_info(cl_program p, cl_device_id d, cl_program_build_info what, size_t room, void *out, size_t *size) {
  return tell("what the compiler says", 23, room, out, size);
}
static cl_kernel create_kernel(cl_program p, const char *name, cl_int *status) { return made_by("clCreateKernel", 0, status); }
static cl_int get_group_info(cl_kernel k, cl_device_id d, cl_kernel_work_group_info what, size_t room, void *out, size_t *size) {
  const size_t most = getenv("MOCK_GROUP") ? (size_t)atoi(getenv("MOCK_GROUP")) : 1024;
  cl_int status = status_of("clGetKernelWorkGroupInfo");
  return status ? status : tell(&most, sizeof most, room, out, size);
}
static cl_int set_argument(cl_kernel k, cl_uint index, size_t bytes, const void *value) { return status_of("clSetKernelArg"); }

static cl_int enqueue_kernel(
    cl_command_queue q, cl_kernel k, cl_uint dimensions, const size_t *offset, const size_t *global, const size_t *local, cl_uint count,
    const cl_event *events, cl_event *event) {
  cl_int status = status_of("clEnqueueNDRangeKernel");
  if (!status) *event = make(0, getenv("MOCK_EVENT") ? atoi(getenv("MOCK_EVENT")) : CL_COMPLETE);
  return status;
}
static void *enqueue_map(
    cl_command_queue q, cl_mem buffer, cl_bool blocking, cl_map_flags flags, size_t offset, size_t bytes, cl_uint count, const cl_event *events,
    cl_event *event, cl_int *status) {
  *status = status_of("clEnqueueMapBuffer");
  if (*status) return NULL;
  *event = make(0, CL_COMPLETE);
  return (char *)((struct object *)buffer)->memory + offset;
}
static cl_int transfer(const char *call, cl_event *event) {
  cl_int status = status_of(call);
  if (!status) *event = make(0, CL_COMPLETE);
  return status;
}
static cl_int enqueue_write(
    cl_command_queue q, cl_mem buffer, cl_bool blocking, size_t offset, size_t bytes, const void *from, cl_uint count, const cl_event *events,
    cl_event *event) {
  memcpy((char *)((struct object *)buffer)->memory + offset, from, bytes);
  return transfer("clEnqueueWriteBuffer", event);
}
static cl_int enqueue_read(
    cl_command_queue q, cl_mem buffer, cl_bool blocking, size_t offset, size_t bytes, void *to, cl_uint count, const cl_event *events,
    cl_event *event) {
  memcpy(to, (char *)((struct object *)buffer)->memory + offset, bytes);
  return transfer("clEnqueueReadBuffer", event);
}
static cl_int flush(cl_command_queue q) { return status_of("clFlush"); }
static cl_int get_event_info(cl_event e, cl_event_info what, size_t room, void *out, size_t *size) {
  cl_int status = status_of("clGetEventInfo");
  return status ? status : tell(&((struct object *)e)->state, sizeof(cl_int), room, out, size);
}
static cl_int release_context(cl_context c) { return released("clReleaseContext", c); }
static cl_int release_queue(cl_command_queue q) { return released("clReleaseCommandQueue", q); }
static cl_int release_buffer(cl_mem m) { return released("clReleaseMemObject", m); }
static cl_int release_program(cl_program p) { return released("clReleaseProgram", p); }
static cl_int release_kernel(cl_kernel k) { return released("clReleaseKernel", k); }
static cl_int release_event(cl_event e) { return released("clReleaseEvent", e); }

cl_int clIcdGetPlatformIDsKHR(cl_uint room, cl_platform_id *out, cl_uint *count) {
  if (count) *count = 1;
  if (out && room) *out = (cl_platform_id)&platform;
  return CL_SUCCESS;
}
void *clGetExtensionFunctionAddress(const char *name) {
  if (strcmp(name, "clGetPlatformInfo") == 0) return (void *)get_platform_info;
  return strcmp(name, "clIcdGetPlatformIDsKHR") == 0 ? (void *)clIcdGetPlatformIDsKHR : NULL;
}

static const cl_icd_dispatch table = {
    .clGetPlatformIDs = clIcdGetPlatformIDsKHR, .clGetPlatformInfo = get_platform_info, .clGetDeviceIDs = get_device_ids,
    .clGetDeviceInfo = get_device_info, .clCreateContext = create_context, .clReleaseContext = release_context,
    .clCreateCommandQueueWithProperties = create_queue, .clReleaseCommandQueue = release_queue, .clCreateBuffer = create_buffer,
    .clReleaseMemObject = release_buffer, .clCreateProgramWithSource = create_program, .clReleaseProgram = release_program,
    .clBuildProgram = build_program, .clGetProgramInfo = get_program_info, .clGetProgramBuildInfo = get_build_info,
    .clCreateKernel = create_kernel, .clGetKernelWorkGroupInfo = get_group_info, .clReleaseKernel = release_kernel, .clSetKernelArg = set_argument,
    .clEnqueueNDRangeKernel = enqueue_kernel, .clEnqueueMapBuffer = enqueue_map, .clEnqueueWriteBuffer = enqueue_write,
    .clEnqueueReadBuffer = enqueue_read, .clFlush = flush, .clGetEventInfo = get_event_info, .clReleaseEvent = release_event};
