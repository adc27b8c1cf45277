// The limit for ../questions/ipc.mjs: a word in shared memory, handed to and fro between two processes by a
// futex alone, or after a short look for it. Says nanoseconds for each of many rounds.
#define _GNU_SOURCE
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long spins;

static void await_not(_Atomic unsigned *word, unsigned value) {
  for (long i = 0; i < spins; i++) {
    if (atomic_load(word) != value) return;
    __builtin_ia32_pause();
  }
  while (atomic_load(word) == value) syscall(SYS_futex, word, FUTEX_WAIT, value, NULL);
}

static void hand(_Atomic unsigned *word, unsigned value) {
  atomic_store(word, value);
  syscall(SYS_futex, word, FUTEX_WAKE, 1);
}

int main(int argc, char **argv) {
  int rounds = argc > 1 ? atoi(argv[1]) : 10000;
  spins = argc > 2 ? atol(argv[2]) : 0;
  _Atomic unsigned *words = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  _Atomic unsigned *there = words, *back = words + 32;
  if (fork() == 0) {
    for (int i = 1; i <= rounds; i++) {
      await_not(there, i - 1);
      hand(back, i);
    }
    _exit(0);
  }
  for (int i = 1; i <= rounds; i++) {
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    hand(there, i);
    await_not(back, i - 1);
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("%ld\n", (b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec);
  }
  return 0;
}
