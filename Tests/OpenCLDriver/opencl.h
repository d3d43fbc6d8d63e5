// The first OpenCL device, and what it takes to run kernels on it.
#pragma once
#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>
#include "CMoEKernels.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cl_context context;
static cl_command_queue queue;
static cl_device_id device;

static void check(cl_int status, const char *what) {
  if (status == CL_SUCCESS) return;
  printf("%s: %d\n", what, status);
  exit(1);
}

/// NULL where a program that is `optional` does not build.
static cl_program build(cl_uint count, const char **texts, const char *with, bool optional) {
  cl_int status;
  cl_program program = clCreateProgramWithSource(context, count, texts, NULL, &status);
  check(status, "clCreateProgramWithSource");
  status = clBuildProgram(program, 1, &device, with, NULL, NULL);
  if (optional && status == CL_BUILD_PROGRAM_FAILURE) return NULL;
  static char log[1 << 14];
  if (status != CL_SUCCESS) clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, sizeof log, log, NULL);
  check(status, log);
  return program;
}

static cl_kernel kernel_of(cl_program program, const char *name) {
  cl_int status;
  cl_kernel kernel = clCreateKernel(program, name, &status);
  check(status, name);
  return kernel;
}

static cl_mem buffer(const void *values, size_t bytes) {
  cl_int status;
  cl_mem made = clCreateBuffer(context, CL_MEM_READ_WRITE | (values ? CL_MEM_COPY_HOST_PTR : 0), bytes, (void *)values, &status);
  check(status, "clCreateBuffer");
  return made;
}

static void launch(cl_kernel kernel, size_t width, size_t first, size_t height, size_t group) {
  size_t offset[] = {0, first}, global[] = {width, height}, local[] = {group, 1};
  check(clEnqueueNDRangeKernel(queue, kernel, 2, offset, global, group ? local : NULL, 0, NULL, NULL), "clEnqueueNDRangeKernel");
  check(clFinish(queue), "clFinish");
}

static void set(cl_kernel kernel, int index, size_t bytes, const void *value) {
  check(clSetKernelArg(kernel, (cl_uint)index, bytes, value), "clSetKernelArg");
}

static uint32_t random_bits(void) {
  static uint32_t state = 1;
  state = state * 1664525 + 1013904223;
  return state;
}
static float random_value(void) { return (float)(int32_t)random_bits() * 0x1p-31f; }

static void open_device(void) {
  cl_platform_id platform;
  cl_int status;
  check(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
  check(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL), "clGetDeviceIDs");
  context = clCreateContext(NULL, 1, &device, NULL, NULL, &status);
  check(status, "clCreateContext");
  queue = clCreateCommandQueue(context, device, 0, &status);
  check(status, "clCreateCommandQueue");
}
