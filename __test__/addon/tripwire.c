// A native addon that counts how often a function reads a range of memory, and changes the memory between two of its passes.
// This leaves nothing to chance, whereas another process could only hope for the right moment. POSIX only, plain Node-API;
// built by ../helpers/addon.ts.
//
// Two pages, one near each end of the range, are made inaccessible. The fault handler opens the page that is touched,
// closes the one at the other end, and after each pass gives the range its other contents. A function that reads the range
// once touches each page once. The pages are not the very first and last, because memcpy loads the ends of a
// range before what lies between, and functions look at the first bytes.

#define _GNU_SOURCE
#define NAPI_VERSION 8

#include <node_api.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct sigaction before[2];
static volatile sig_atomic_t armed;
static volatile int touches;
static uint8_t *range;
static size_t length, page;
static uint8_t *wires[2];       // near the start, near the end
static const uint8_t *texts[2]; // what the range holds at first, and what it holds between the passes after that

static struct sigaction *previous(int signal) { return &before[signal == SIGBUS]; }

// mprotect and memcpy are what a handler may call here: the thread that faulted waits for nothing that they need.
static bool tripped(uint8_t *address) {
  if (!armed) return false;
  for (int end = 0; end < 2; end++) {
    if (address < wires[end] || address >= wires[end] + page) continue;
    touches++;
    mprotect(range, length, PROT_READ | PROT_WRITE);
    if (touches % 2 == 0) memcpy(range, texts[touches / 2 % 2], length);
    mprotect(wires[!end], page, PROT_NONE);
    return true;
  }
  return false;
}

static void handle(int signal, siginfo_t *info, void *context) {
  if (tripped(info->si_addr)) return;
  struct sigaction *next = previous(signal);
  if (next->sa_flags & SA_SIGINFO) {
    next->sa_sigaction(signal, info, context);
  } else if (next->sa_handler == SIG_DFL || next->sa_handler == SIG_IGN) {
    sigaction(signal, next, NULL);
  } else {
    next->sa_handler(signal);
  }
}

// arm(range, first, second): three Uint8Arrays of one length, the range at the start of a page and of 5 pages or more.
static napi_value arm(napi_env env, napi_callback_info info) {
  size_t count = 3;
  napi_value args[3];
  void *data[3];
  size_t lengths[3];
  napi_get_cb_info(env, info, &count, args, NULL, NULL);
  for (size_t i = 0; i < 3; i++) {
    if (count < 3 || napi_get_typedarray_info(env, args[i], NULL, &lengths[i], &data[i], NULL, NULL) != napi_ok) {
      napi_throw_type_error(env, NULL, "expected three Uint8Arrays");
      return NULL;
    }
  }
  page = (size_t)sysconf(_SC_PAGESIZE);
  if ((uintptr_t)data[0] % page != 0 || lengths[0] < 5 * page || lengths[1] != lengths[0] || lengths[2] != lengths[0]) {
    napi_throw_range_error(env, NULL, "expected whole pages, 5 or more, and texts of their length");
    return NULL;
  }
  range = data[0];
  length = lengths[0];
  texts[0] = data[1];
  texts[1] = data[2];
  wires[0] = range + page;
  wires[1] = range + (length / page - 2) * page;
  touches = 0;
  memcpy(range, texts[0], length);
  if (before[0].sa_sigaction == NULL && before[0].sa_flags == 0) {
    struct sigaction action = {0};
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, previous(SIGSEGV));
    sigaction(SIGBUS, &action, previous(SIGBUS));
  }
  armed = 1;
  mprotect(wires[0], page, PROT_NONE);
  mprotect(wires[1], page, PROT_NONE);
  return NULL;
}

// disarm(): how often a closed page was touched since arm(): 2 for one pass over all of the range, more for more.
static napi_value disarm(napi_env env, napi_callback_info info) {
  (void)info;
  armed = 0;
  mprotect(range, length, PROT_READ | PROT_WRITE);
  napi_value result;
  return napi_create_int32(env, touches, &result) == napi_ok ? result : NULL;
}

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "arm", NAPI_AUTO_LENGTH, arm, NULL, &function);
  napi_set_named_property(env, exports, "arm", function);
  napi_create_function(env, "disarm", NAPI_AUTO_LENGTH, disarm, NULL, &function);
  napi_set_named_property(env, exports, "disarm", function);
  return exports;
}
