// A layer of the ICD loader, between it and a driver that works, which makes calls fail from the moment it is told to.
//
// LAYER_FAIL="clEnqueueNDRangeKernel=-5" makes a call return a status, "clFlush=hang" makes it never return; LAYER_SOURCE="product_panels=#error no"
// puts a line before programs in whose texts the word is. Both are read at each call.
#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl_layer.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const cl_icd_dispatch *driver;
static cl_icd_dispatch table;

static cl_int status_of(const char *call) {
  const char *wanted = getenv("LAYER_FAIL");
  size_t length = strlen(call);
  if (!wanted || strncmp(wanted, call, length) || wanted[length] != '=') return CL_SUCCESS;
  while (strcmp(wanted + length + 1, "hang") == 0) pause();
  return atoi(wanted + length + 1);
}

static cl_program create_program(cl_context c, cl_uint count, const char **texts, const size_t *lengths, cl_int *status) {
  const char *wanted = getenv("LAYER_SOURCE"), *line = wanted ? strchr(wanted, '=') : NULL;
  char word[64];
  const char *changed[64] = {line ? line + 1 : "", "\n"};
  bool has_word = false;
  if (line && line - wanted < 64 && count <= 62) {
    snprintf(word, sizeof word, "%.*s", (int)(line - wanted), wanted);
    for (cl_uint i = 0; i < count; i++) has_word |= strstr(changed[i + 2] = texts[i], word) != NULL;
  }
  return has_word ? driver->clCreateProgramWithSource(c, count + 2, changed, NULL, status)
                  : driver->clCreateProgramWithSource(c, count, texts, lengths, status);
}

static cl_int enqueue_kernel(
    cl_command_queue q, cl_kernel k, cl_uint dimensions, const size_t *offset, const size_t *global, const size_t *local, cl_uint count,
    const cl_event *events, cl_event *event) {
  cl_int status = status_of("clEnqueueNDRangeKernel");
  return status ? status : driver->clEnqueueNDRangeKernel(q, k, dimensions, offset, global, local, count, events, event);
}
static void *enqueue_map(
    cl_command_queue q, cl_mem buffer, cl_bool blocking, cl_map_flags flags, size_t offset, size_t bytes, cl_uint count, const cl_event *events,
    cl_event *event, cl_int *status) {
  *status = status_of("clEnqueueMapBuffer");
  return *status ? NULL : driver->clEnqueueMapBuffer(q, buffer, blocking, flags, offset, bytes, count, events, event, status);
}
static cl_int enqueue_unmap(cl_command_queue q, cl_mem buffer, void *address, cl_uint count, const cl_event *events, cl_event *event) {
  cl_int status = status_of("clEnqueueUnmapMemObject");
  return status ? status : driver->clEnqueueUnmapMemObject(q, buffer, address, count, events, event);
}
static cl_int release_buffer(cl_mem buffer) {
  cl_int status = status_of("clReleaseMemObject");
  return status ? status : driver->clReleaseMemObject(buffer);
}
static cl_int flush(cl_command_queue q) {
  cl_int status = status_of("clFlush");
  return status ? status : driver->clFlush(q);
}

CL_API_ENTRY cl_int CL_API_CALL clGetLayerInfo(cl_layer_info what, size_t room, void *out, size_t *size) {
  cl_layer_api_version version = CL_LAYER_API_VERSION_100;
  if (what != CL_LAYER_API_VERSION) return CL_INVALID_VALUE;
  if (size) *size = sizeof version;
  if (out && room >= sizeof version) memcpy(out, &version, sizeof version);
  return CL_SUCCESS;
}

CL_API_ENTRY cl_int CL_API_CALL clInitLayer(
    cl_uint count, const cl_icd_dispatch *target, cl_uint *layer_count, const cl_icd_dispatch **layer) {
  if (count < sizeof table / sizeof(void *)) return CL_INVALID_VALUE;
  driver = target;
  memcpy(&table, target, sizeof table);
  table.clCreateProgramWithSource = create_program;
  table.clEnqueueNDRangeKernel = enqueue_kernel;
  table.clEnqueueMapBuffer = enqueue_map;
  table.clEnqueueUnmapMemObject = enqueue_unmap;
  table.clReleaseMemObject = release_buffer;
  table.clFlush = flush;
  *layer = &table;
  *layer_count = sizeof table / sizeof(void *);
  return CL_SUCCESS;
}
