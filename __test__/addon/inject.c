// A native addon that makes calls of one library fail. The library calls the C library through a table of addresses of its
// own (its GOT). Here each address in it is replaced by that of a function that counts the call, fails if it was told to,
// and else calls the original. Calls of others do not come here, nor those that the C library makes for the library. ELF
// with RELA only; built by ../helpers/addon.ts.
//
// The fault handler of the library is among the callers: everything here is async-signal-safe.

#define _GNU_SOURCE
#define NAPI_VERSION 8

#include <errno.h>
#include <link.h>
#include <linux/futex.h>
#include <node_api.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// How a function reports that it failed: by -1 and errno, by a null pointer and errno, or by its result.
enum way { NUMBER, POINTER, RESULT };

#define FUNCTIONS(X)                                                                                                   \
  X(open, NUMBER) X(open64, NUMBER) X(close, NUMBER) X(fcntl, NUMBER) X(fcntl64, NUMBER) X(ioctl, NUMBER)              \
  X(isatty, POINTER) X(stat, NUMBER) X(stat64, NUMBER) X(lstat, NUMBER) X(lstat64, NUMBER) X(fstat, NUMBER)            \
  X(fstat64, NUMBER) X(statx, NUMBER) X(fstatvfs, NUMBER) X(fstatvfs64, NUMBER) X(lseek, NUMBER) X(lseek64, NUMBER)    \
  X(read, NUMBER) X(pread, NUMBER) X(pread64, NUMBER) X(write, NUMBER) X(pwrite, NUMBER) X(pwrite64, NUMBER)           \
  X(ftruncate, NUMBER) X(ftruncate64, NUMBER) X(fallocate, NUMBER) X(fallocate64, NUMBER) X(fdatasync, NUMBER)         \
  X(unlink, NUMBER) X(readlink, NUMBER) X(realpath, POINTER) X(getcwd, POINTER) X(shm_open, NUMBER)                    \
  X(shm_unlink, NUMBER) X(mmap, NUMBER) X(mmap64, NUMBER) X(munmap, NUMBER) X(mprotect, NUMBER)                        \
  X(madvise, NUMBER) X(mincore, NUMBER) X(msync, NUMBER) X(munlock, NUMBER) X(process_vm_readv, NUMBER)                \
  X(process_vm_writev, NUMBER) X(sigaction, NUMBER) X(pthread_sigmask, RESULT) X(pthread_create, RESULT)               \
  X(sem_init, NUMBER) X(getrandom, NUMBER) X(sched_getaffinity, NUMBER) X(syscall, NUMBER) X(malloc, POINTER)          \
  X(calloc, POINTER) X(realloc, POINTER) X(posix_memalign, RESULT)

// What `syscall` is called with, by the names of the calls.
#define BY_NUMBER(X) X(futex) X(futex_waitv) X(memfd_create) X(mlock2) X(cachestat) X(fcntl64) X(io_uring_setup) \
  X(io_uring_enter) X(io_uring_register) X(gettid) X(mremap)

enum {
#define INDEX(name, way) AT_##name,
  FUNCTIONS(INDEX) COUNT
};

typedef long (*function)(long, long, long, long, long, long, long);
static function real[COUNT];

#define MOST 8192
static const char *_Atomic calls[MOST]; // in their order, since `record`
static long sizes[MOST];                // what those that allocate were asked for
static atomic_int recorded = MOST;

static const char *_Atomic failing; // which function is to fail
static atomic_int before, times;    // after how many calls, and how often
static atomic_int failure, failed;
static atomic_int failed_here; // those on the thread that called `fail`
static atomic_long here;
static atomic_long smallest; // requests of memory for less do not fail
static atomic_long mapped;

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#define SYS_io_uring_enter 426
#define SYS_io_uring_register 427
#endif
#ifndef SYS_fcntl64
#define SYS_fcntl64 -1
#endif

static const char *by_number(long number, long operation) {
  if (number == SYS_futex && (operation & FUTEX_CMD_MASK) == FUTEX_WAKE) return "futex_wake";
#define NAMED(name) \
  if (number == SYS_##name) return #name;
  BY_NUMBER(NAMED)
  return "syscall";
}

static bool allocates(int at) { return at == AT_malloc || at == AT_calloc || at == AT_realloc || at == AT_posix_memalign; }

static long size_of(int at, long a, long b, long c) {
  return at == AT_malloc ? a : at == AT_calloc ? a * b : at == AT_realloc ? b : c;
}

static bool is_to_fail(const char *name, long size) {
  const char *wanted = failing;
  if (wanted == NULL || strcmp(wanted, name) != 0 || size < smallest) return false;
  if (atomic_fetch_sub(&before, 1) > 0) return false;
  return atomic_fetch_sub(&times, 1) > 0;
}

// Keeps account of the addresses that the library has mapped.
static void note(int at, long result, long b, long d) {
  const long page = sysconf(_SC_PAGESIZE);
#define PAGES(bytes) (((bytes) + page - 1) / page * page)
  if ((at == AT_mmap || at == AT_mmap64) && result != -1 && !(d & MAP_FIXED)) mapped += PAGES(b);
  if (at == AT_munmap && (int)result == 0) mapped -= PAGES(b);
}

static long call(int at, const char *name, enum way way, long a, long b, long c, long d, long e, long f, long g) {
  if (at == AT_syscall) name = by_number(a, c);
  const long size = allocates(at) ? size_of(at, a, b, c) : 0;
  int number = recorded;
  if (number < MOST && (number = atomic_fetch_add(&recorded, 1)) < MOST) {
    sizes[number] = size;
    calls[number] = name;
  }
  if (!is_to_fail(name, allocates(at) ? size : INT64_MAX)) {
    long result = real[at](a, b, c, d, e, f, g);
    int saved = errno;
    note(at, result, b, d);
    errno = saved;
    return result;
  }
  failed++;
  if (syscall(SYS_gettid) == here) failed_here++;
  if (at == AT_close) real[at](a, b, c, d, e, f, g); // whatever it says, the descriptor is closed (close(2), NOTES)
  if (way == RESULT) return failure;
  errno = failure;
  return way == POINTER ? 0 : -1;
}

#define HOOK(name, way)                                                                                                \
  static long hook_##name(long a, long b, long c, long d, long e, long f, long g) {                                    \
    return call(AT_##name, #name, way, a, b, c, d, e, f, g);                                                           \
  }
FUNCTIONS(HOOK)

static const struct {
  const char *name;
  function hook;
} hooks[COUNT] = {
#define ENTRY(name, way) {#name, hook_##name},
    FUNCTIONS(ENTRY)};

// ---- Finding the table

struct wanted {
  const char *path;
  int replaced;
};

static int replace_in(const ElfW(Rela) * from, size_t bytes, const ElfW(Sym) * symbols, const char *names,
                      ElfW(Addr) base) {
  int replaced = 0;
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  for (size_t i = 0; i < bytes / sizeof *from; i++) {
    const size_t symbol = sizeof(void *) == 8 ? from[i].r_info >> 32 : from[i].r_info >> 8;
    if (symbol == 0) continue;
    for (int at = 0; at < COUNT; at++) {
      if (strcmp(names + symbols[symbol].st_name, hooks[at].name) != 0) continue;
      function *slot = (function *)(base + from[i].r_offset);
      if (*slot == NULL || *slot == hooks[at].hook) continue;
      mprotect((void *)((uintptr_t)slot & -page), page, PROT_READ | PROT_WRITE);
      real[at] = *slot;
      *slot = hooks[at].hook;
      replaced++;
    }
  }
  return replaced;
}

static int look(struct dl_phdr_info *info, size_t size, void *data) {
  (void)size;
  struct wanted *wanted = data;
  if (strcmp(info->dlpi_name, wanted->path) != 0) return 0;
  const ElfW(Dyn) *dynamic = NULL;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    if (info->dlpi_phdr[i].p_type == PT_DYNAMIC) dynamic = (void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
  }
  ElfW(Addr) tables[4] = {0};
  size_t bytes[2] = {0};
  for (; dynamic != NULL && dynamic->d_tag != DT_NULL; dynamic++) {
    // glibc has made addresses of most of these, musl of none.
    ElfW(Addr) address = dynamic->d_un.d_ptr;
    if (address < info->dlpi_addr) address += info->dlpi_addr;
    if (dynamic->d_tag == DT_RELA) tables[0] = address;
    if (dynamic->d_tag == DT_JMPREL) tables[1] = address;
    if (dynamic->d_tag == DT_SYMTAB) tables[2] = address;
    if (dynamic->d_tag == DT_STRTAB) tables[3] = address;
    if (dynamic->d_tag == DT_RELASZ) bytes[0] = dynamic->d_un.d_val;
    if (dynamic->d_tag == DT_PLTRELSZ) bytes[1] = dynamic->d_un.d_val;
  }
  for (int i = 0; i < 2; i++) {
    if (tables[i] == 0) continue;
    wanted->replaced +=
        replace_in((void *)tables[i], bytes[i], (void *)tables[2], (void *)tables[3], info->dlpi_addr);
  }
  return 1;
}

// ---- For JavaScript

static napi_value number(napi_env env, double value) {
  napi_value result = NULL;
  napi_create_double(env, value, &result);
  return result;
}

static bool take_text(napi_env env, napi_value from, char *text, size_t room) {
  return napi_get_value_string_utf8(env, from, text, room, NULL) == napi_ok;
}

// hook(path): has the calls of the library that was loaded from there go through here; says how many functions it calls.
static napi_value hook(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value args[1];
  char path[4096];
  napi_get_cb_info(env, info, &count, args, NULL, NULL);
  if (!take_text(env, args[0], path, sizeof path)) return NULL;
  struct wanted wanted = {path, 0};
  dl_iterate_phdr(look, &wanted);
  return number(env, wanted.replaced);
}

// record(): forgets the calls so far, and records those from now on.
static napi_value record(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
  for (int i = 0; i < MOST; i++) calls[i] = NULL;
  recorded = 0;
  return NULL;
}

// recordedCalls(): the calls since, each by its name, with the bytes that were asked for behind those that allocate.
static napi_value recorded_calls(napi_env env, napi_callback_info info) {
  (void)info;
  int count = atomic_exchange(&recorded, MOST);
  napi_value list, name;
  napi_create_array(env, &list);
  for (int i = 0, at = 0; i < count && i < MOST; i++) {
    if (calls[i] == NULL) continue;
    napi_create_string_utf8(env, calls[i], NAPI_AUTO_LENGTH, &name);
    napi_set_element(env, list, at++, name);
    napi_set_element(env, list, at++, number(env, (double)sizes[i]));
  }
  return list;
}

// fail(name, nth, errno, times, smallest): the nth call of a function from now on fails, and so do those that follow,
// `times` in all; with `smallest`, only calls for as much memory count.
static napi_value fail(napi_env env, napi_callback_info info) {
  static char name[64];
  size_t count = 5;
  napi_value args[5];
  int64_t numbers[4];
  napi_get_cb_info(env, info, &count, args, NULL, NULL);
  failing = NULL;
  if (!take_text(env, args[0], name, sizeof name)) return NULL;
  for (int i = 0; i < 4; i++) napi_get_value_int64(env, args[i + 1], &numbers[i]);
  before = (int)numbers[0] - 1;
  failure = (int)numbers[1];
  times = (int)numbers[2];
  smallest = numbers[3];
  failed = failed_here = 0;
  here = syscall(SYS_gettid);
  failing = name;
  return NULL;
}

// failures(): how many calls have failed so far, which other threads may have made.
static napi_value failures(napi_env env, napi_callback_info info) {
  (void)info;
  return number(env, failed);
}

// failuresHere(): how many of them on the thread that has called `fail`.
static napi_value failures_here(napi_env env, napi_callback_info info) {
  (void)info;
  return number(env, failed_here);
}

// disarm(): nothing fails any more; says how many calls did.
static napi_value disarm(napi_env env, napi_callback_info info) {
  (void)info;
  failing = NULL;
  return number(env, failed);
}

// held(): how many bytes of addresses the library has mapped and not unmapped.
static napi_value held(napi_env env, napi_callback_info info) {
  (void)info;
  return number(env, (double)mapped);
}

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback callback;
  } functions[] = {{"hook", hook}, {"record", record}, {"recordedCalls", recorded_calls},
                   {"fail", fail}, {"failures", failures}, {"failuresHere", failures_here},
                   {"disarm", disarm}, {"held", held}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value made;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].callback, NULL, &made);
    napi_set_named_property(env, exports, functions[i].name, made);
  }
  return exports;
}
