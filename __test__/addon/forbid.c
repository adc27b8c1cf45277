// A native addon that forbids system calls to the whole process, as a container does: each fails with EPERM from now on
// (seccomp(2)). It also says which there are. Linux only; built by ../helpers/addon.ts.

#define _GNU_SOURCE
#define NAPI_VERSION 8

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <node_api.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int forbid(unsigned number) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0 ? 0 : errno;
}

static int is_refused(unsigned number) {
  return syscall(number, 0, 0, 0, 0, 0, 0) < 0 && (errno == ENOSYS || errno == EPERM);
}

// Calls `data`, which takes the number of a system call.
static napi_value call(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument, result;
  uint32_t number;
  void *function;
  napi_get_cb_info(env, info, &count, &argument, NULL, &function);
  napi_get_value_uint32(env, argument, &number);
  napi_create_int32(env, ((int (*)(unsigned))function)(number), &result);
  return result;
}

static void export(napi_env env, napi_value exports, const char *name, int (*function)(unsigned)) {
  napi_value value;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, call, (void *)function, &value);
  napi_set_named_property(env, exports, name, value);
}

// forbid(number): 0, or the error. isRefused(number): whether there is no such call, or it is forbidden; makes it, with
// zeros as arguments, of which it must do nothing.
NAPI_MODULE_INIT() {
  export(env, exports, "forbid", forbid);
  export(env, exports, "isRefused", is_refused);
  return exports;
}
