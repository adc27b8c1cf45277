// A native addon that does to a Buffer what other people's addons do: reads and writes it from threads of their
// own, owns a fault handler, or simply has a bug. POSIX only, plain Node-API; built by ../helpers/addon.ts.

#define _GNU_SOURCE
#define NAPI_VERSION 8

#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <node_api.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

// ---- Errors and arguments

// Throws what the last Node-API call complained about, unless it already left an exception of its own.
static napi_value throw_last_error(napi_env env) {
  const napi_extended_error_info *last = NULL;
  napi_get_last_error_info(env, &last);
  const char *message = last != NULL && last->error_message != NULL ? last->error_message : "Node-API call failed";
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) == napi_ok && !pending) napi_throw_error(env, NULL, message);
  return NULL;
}

static napi_value throw_errno(napi_env env, const char *call, int error) {
  char message[128];
  snprintf(message, sizeof message, "%s: %s", call, strerror(error));
  napi_throw_error(env, NULL, message);
  return NULL;
}

// Fills `args` when exactly `wanted` arguments came, else throws.
static bool take_arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *args) {
  size_t got = wanted;
  if (napi_get_cb_info(env, info, &got, args, NULL, NULL) != napi_ok) {
    throw_last_error(env);
    return false;
  }
  if (got == wanted) return true;
  char message[64];
  snprintf(message, sizeof message, "expected %zu arguments, got %zu", wanted, got);
  napi_throw_type_error(env, NULL, message);
  return false;
}

static napi_value number(napi_env env, double value) {
  napi_value result;
  return napi_create_double(env, value, &result) == napi_ok ? result : throw_last_error(env);
}

// ---- crash()

static napi_value crash(napi_env env, napi_callback_info info) {
  if (!take_arguments(env, info, 0, NULL)) return NULL;
  // The pointer itself is volatile, or the compiler may see the null and emit a trap (SIGILL) in place of the store.
  volatile int *volatile nowhere = NULL;
  *nowhere = 1;
  return NULL;
}

// ---- installHandler(), touchOwnPage()

// Signal actions belong to the process, so this is the one piece of state that all environments share.
static struct {
  pthread_mutex_t lock;
  bool installed;
  volatile uint8_t *page;
  size_t page_size;
  atomic_uint faults;
  struct sigaction before_segv;
  struct sigaction before_bus;
} own = {.lock = PTHREAD_MUTEX_INITIALIZER};

// An si_code above zero: raised by the kernel for an instruction, not sent with kill().
static bool is_fault(const siginfo_t *info) { return info->si_code > 0; }

static bool is_own_fault(const siginfo_t *info) {
  return is_fault(info) && (uintptr_t)info->si_addr - (uintptr_t)own.page < own.page_size;
}

static bool open_own_page(void) {
  int saved = errno;
  bool opened = mprotect((void *)own.page, own.page_size, PROT_READ | PROT_WRITE) == 0;
  errno = saved;
  return opened;
}

static void pass_on(int signal_number, siginfo_t *info, void *context) {
  const struct sigaction *before = signal_number == SIGBUS ? &own.before_bus : &own.before_segv;
  if (before->sa_flags & SA_SIGINFO) {
    before->sa_sigaction(signal_number, info, context);
    return;
  }
  if (before->sa_handler == SIG_IGN && !is_fault(info)) return;
  if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
    before->sa_handler(signal_number);
    return;
  }
  // A faulting instruction runs again after the return and now dies of it; a sent signal has to be sent again.
  signal(signal_number, SIG_DFL);
  if (!is_fault(info)) raise(signal_number);
}

static void on_fault(int signal_number, siginfo_t *info, void *context) {
  if (is_own_fault(info) && open_own_page()) {
    atomic_fetch_add(&own.faults, 1);
    return;
  }
  pass_on(signal_number, info, context);
}

// Node closes the libraries a worker loaded when that worker ends; one more reference keeps the handler's code.
static void stay_loaded(void) {
  Dl_info self;
  if (dladdr((void *)on_fault, &self) != 0) dlopen(self.dli_fname, RTLD_NOW);
}

// Returns the name of the call that failed, with errno set, or NULL.
static const char *install(void) {
  size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
  void *page = mmap(NULL, page_size, PROT_NONE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (page == MAP_FAILED) return "mmap";
  own.page = page;
  own.page_size = page_size;
  stay_loaded();

  struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
  action.sa_sigaction = on_fault;
  sigemptyset(&action.sa_mask);
  // What was there is read first: a fault in another thread may arrive as soon as ours is in place.
  if (sigaction(SIGSEGV, NULL, &own.before_segv) != 0 || sigaction(SIGBUS, NULL, &own.before_bus) != 0 ||
      sigaction(SIGSEGV, &action, NULL) != 0 || sigaction(SIGBUS, &action, NULL) != 0)
    return "sigaction";
  own.installed = true;
  return NULL;
}

// True when this call installed it, false when it was there: a second one would hand faults to itself for ever.
static napi_value install_handler(napi_env env, napi_callback_info info) {
  if (!take_arguments(env, info, 0, NULL)) return NULL;
  pthread_mutex_lock(&own.lock);
  bool installs = !own.installed;
  const char *failed = installs ? install() : NULL;
  int error = errno;
  pthread_mutex_unlock(&own.lock);
  if (failed != NULL) return throw_errno(env, failed, error);

  napi_value result;
  return napi_get_boolean(env, installs, &result) == napi_ok ? result : throw_last_error(env);
}

static napi_value touch_own_page(napi_env env, napi_callback_info info) {
  if (!take_arguments(env, info, 0, NULL)) return NULL;
  pthread_mutex_lock(&own.lock);
  bool installed = own.installed;
  int error = installed && mprotect((void *)own.page, own.page_size, PROT_NONE) != 0 ? errno : 0;
  if (installed && error == 0) *own.page = 1;
  unsigned faults = atomic_load(&own.faults);
  pthread_mutex_unlock(&own.lock);

  if (error != 0) return throw_errno(env, "mprotect", error);
  if (installed) return number(env, faults);
  napi_throw_error(env, NULL, "touchOwnPage() needs installHandler() first");
  return NULL;
}

// ---- replaceHandler()

static struct sigaction replaced_segv, replaced_bus;

static void plain_returns(int signal_number) {
  (void)signal_number;
}

static void informed_returns(int signal_number, siginfo_t *info, void *context) {
  (void)signal_number;
  (void)info;
  (void)context;
}

static void informed_passes_on(int signal_number, siginfo_t *info, void *context) {
  const struct sigaction *before = signal_number == SIGBUS ? &replaced_bus : &replaced_segv;
  if (before->sa_flags & SA_SIGINFO)
    before->sa_sigaction(signal_number, info, context);
  else
    signal(signal_number, SIG_DFL);
}

static napi_value replace_handler(napi_env env, napi_callback_info info) {
  napi_value how;
  char name[16] = "";
  if (!take_arguments(env, info, 1, &how)) return NULL;
  if (napi_get_value_string_utf8(env, how, name, sizeof name, NULL) != napi_ok) return throw_last_error(env);

  struct sigaction action = {.sa_flags = SA_ONSTACK};
  action.sa_handler = SIG_DFL;
  if (strcmp(name, "plain") == 0) action.sa_handler = plain_returns;
  if (strcmp(name, "informed") == 0 || strcmp(name, "chained") == 0) {
    action.sa_flags |= SA_SIGINFO;
    action.sa_sigaction = name[0] == 'i' ? informed_returns : informed_passes_on;
  }
  sigemptyset(&action.sa_mask);
  struct sigaction now;
  if (sigaction(SIGSEGV, NULL, &now) == 0 && now.sa_sigaction == informed_passes_on) return NULL;
  if (sigaction(SIGSEGV, &action, &replaced_segv) != 0 || sigaction(SIGBUS, &action, &replaced_bus) != 0)
    return throw_errno(env, "sigaction", errno);
  return NULL;
}

// ---- startReader(), startWriter(), finishPasses(), readerCount()

// How many bytes a thread handles between two looks at the clock.
enum { STRIDE = 64 * 1024 };

// How often finishPasses() was called, in any environment.
static atomic_uint finishes;

// Per environment; touched by its JavaScript thread only.
typedef struct {
  unsigned running;
} Instance;

typedef struct {
  volatile uint8_t *bytes;
  size_t length;
  bool writes;
  double milliseconds;
  unsigned finishes; // as they were when it began
  uint64_t passes;

  pthread_t thread;
  bool joined;
  atomic_bool stop;

  napi_ref array_buffer;
  napi_deferred deferred;
  napi_threadsafe_function settle;
} Job;

static double now_in_milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void touch(volatile uint8_t *bytes, size_t length, bool writes) {
  uint64_t sum = 0;
  for (size_t at = 0; at < length; at++) {
    if (writes)
      bytes[at] = 0x5a;
    else
      sum += bytes[at];
  }
  (void)sum;
}

// The first pass is always a whole one, however short the time, unless the environment goes away.
static void run_passes(Job *job) {
  double end = now_in_milliseconds() + job->milliseconds;
  for (;;) {
    for (size_t at = 0; at < job->length; at += STRIDE) {
      bool ends = atomic_load(&finishes) != job->finishes || now_in_milliseconds() >= end;
      if (atomic_load(&job->stop) || (job->passes > 0 && ends)) return;
      size_t left = job->length - at;
      touch(job->bytes + at, left < STRIDE ? left : STRIDE, job->writes);
    }
    job->passes++;
  }
}

static void *job_thread(void *data) {
  Job *job = data;
  napi_threadsafe_function settle = job->settle;
  run_passes(job);
  // From the call on, `job` belongs to the JavaScript thread.
  napi_call_threadsafe_function(settle, job, napi_tsfn_blocking);
  napi_release_threadsafe_function(settle, napi_tsfn_release);
  return NULL;
}

static void join_job(Job *job) {
  if (!job->joined) pthread_join(job->thread, NULL);
  job->joined = true;
}

// Cleanup hook, last added first run: the thread has ended before the owner of the memory lets go of it.
static void stop_job(void *data) {
  Job *job = data;
  atomic_store(&job->stop, true);
  join_job(job);
}

static void settle_job(napi_env env, napi_value unused, void *context, void *data) {
  (void)unused;
  (void)context;
  if (env == NULL) return; // The environment is going away, and stop_job has been here.
  Job *job = data;
  napi_remove_env_cleanup_hook(env, stop_job, job);
  napi_delete_reference(env, job->array_buffer);

  Instance *instance = NULL;
  if (napi_get_instance_data(env, (void **)&instance) == napi_ok && instance != NULL) instance->running--;

  napi_value passes;
  if (napi_create_double(env, (double)job->passes, &passes) == napi_ok)
    napi_resolve_deferred(env, job->deferred, passes);
}

static void free_job(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  join_job(data);
  free(data);
}

// Fills in where the bytes are and what keeps them there, or throws.
static bool take_bytes(napi_env env, napi_value value, Job *job, napi_value *array_buffer) {
  bool is_typed_array = false;
  napi_typedarray_type type = napi_int8_array;
  void *bytes = NULL;
  if (napi_is_typedarray(env, value, &is_typed_array) == napi_ok && is_typed_array &&
      napi_get_typedarray_info(env, value, &type, &job->length, &bytes, array_buffer, NULL) != napi_ok) {
    throw_last_error(env);
    return false;
  }
  job->bytes = bytes;
  if (type == napi_uint8_array && bytes != NULL && job->length > 0) return true;
  napi_throw_type_error(env, NULL, "buffer must be a Buffer or Uint8Array, not detached and not empty");
  return false;
}

static bool take_milliseconds(napi_env env, napi_value value, Job *job) {
  if (napi_get_value_double(env, value, &job->milliseconds) == napi_ok && isfinite(job->milliseconds) &&
      job->milliseconds >= 0)
    return true;
  napi_throw_type_error(env, NULL, "milliseconds must be a finite number, 0 or more");
  return false;
}

// The threadsafe function comes last: once it exists, its finalizer owns the job.
static bool hold(napi_env env, Job *job, napi_value array_buffer, napi_value *promise) {
  napi_value name;
  return napi_create_reference(env, array_buffer, 1, &job->array_buffer) == napi_ok &&
         napi_create_promise(env, &job->deferred, promise) == napi_ok &&
         napi_create_string_utf8(env, "fixture", NAPI_AUTO_LENGTH, &name) == napi_ok &&
         napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, job, free_job, NULL, settle_job,
                                         &job->settle) == napi_ok;
}

static napi_value abandon(napi_env env, Job *job) {
  throw_last_error(env);
  if (job->array_buffer != NULL) napi_delete_reference(env, job->array_buffer);
  free(job);
  return NULL;
}

static void launch(napi_env env, Job *job) {
  Instance *instance = NULL;
  if (napi_get_instance_data(env, (void **)&instance) == napi_ok && instance != NULL) instance->running++;
  job->joined = false;
  napi_add_env_cleanup_hook(env, stop_job, job);
  if (pthread_create(&job->thread, NULL, job_thread, job) == 0) return;
  // No thread to be had: the promise is settled all the same, with no pass made.
  atomic_store(&job->stop, true);
  job->joined = true;
  job_thread(job);
}

static napi_value start(napi_env env, napi_callback_info info, bool writes) {
  napi_value args[2];
  if (!take_arguments(env, info, 2, args)) return NULL;
  Job *job = calloc(1, sizeof *job);
  if (job == NULL) return throw_errno(env, "calloc", ENOMEM);
  job->writes = writes;
  job->finishes = atomic_load(&finishes);
  job->joined = true;

  napi_value array_buffer;
  if (!take_bytes(env, args[0], job, &array_buffer) || !take_milliseconds(env, args[1], job)) {
    free(job);
    return NULL;
  }
  napi_value promise;
  if (!hold(env, job, array_buffer, &promise)) return abandon(env, job);
  launch(env, job);
  return promise;
}

static napi_value start_reader(napi_env env, napi_callback_info info) { return start(env, info, false); }

static napi_value start_writer(napi_env env, napi_callback_info info) { return start(env, info, true); }

static napi_value finish_passes(napi_env env, napi_callback_info info) {
  if (!take_arguments(env, info, 0, NULL)) return NULL;
  atomic_fetch_add(&finishes, 1);
  return NULL;
}

static napi_value reader_count(napi_env env, napi_callback_info info) {
  if (!take_arguments(env, info, 0, NULL)) return NULL;
  Instance *instance = NULL;
  if (napi_get_instance_data(env, (void **)&instance) != napi_ok || instance == NULL) return throw_last_error(env);
  return number(env, instance->running);
}

// ---- The module

static void free_instance(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  free(data);
}

NAPI_MODULE_INIT() {
  static const napi_property_descriptor functions[] = {
      {"crash", NULL, crash, NULL, NULL, NULL, napi_enumerable, NULL},
      {"installHandler", NULL, install_handler, NULL, NULL, NULL, napi_enumerable, NULL},
      {"touchOwnPage", NULL, touch_own_page, NULL, NULL, NULL, napi_enumerable, NULL},
      {"replaceHandler", NULL, replace_handler, NULL, NULL, NULL, napi_enumerable, NULL},
      {"startReader", NULL, start_reader, NULL, NULL, NULL, napi_enumerable, NULL},
      {"startWriter", NULL, start_writer, NULL, NULL, NULL, napi_enumerable, NULL},
      {"finishPasses", NULL, finish_passes, NULL, NULL, NULL, napi_enumerable, NULL},
      {"readerCount", NULL, reader_count, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  Instance *instance = calloc(1, sizeof *instance);
  if (instance == NULL) return throw_errno(env, "calloc", ENOMEM);
  if (napi_set_instance_data(env, instance, free_instance, NULL) != napi_ok) {
    free(instance);
    return throw_last_error(env);
  }
  size_t count = sizeof functions / sizeof functions[0];
  return napi_define_properties(env, exports, count, functions) == napi_ok ? exports : throw_last_error(env);
}
