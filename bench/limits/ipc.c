/* What a futex costs in C: a word in shared memory, handed to and fro between two processes.
 *
 *   ipc ROUNDS SPINS
 *
 * Prints JSON: microseconds of each round, SPINS times looking at the word before waiting for it.
 */
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
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  while (atomic_load(word) == value) syscall(SYS_futex, word, FUTEX_WAIT, value, NULL);
}

static void hand(_Atomic unsigned *word, unsigned value) {
  atomic_store(word, value);
  syscall(SYS_futex, word, FUTEX_WAKE, 1);
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int rounds = atoi(argv[1]);
  spins = atol(argv[2]);
  _Atomic unsigned *words = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (words == MAP_FAILED) return 1;
  _Atomic unsigned *there = words, *back = words + 32;
  if (fork() == 0) {
    for (int i = 1; i <= rounds; i++) {
      await_not(there, i - 1);
      hand(back, i);
    }
    _exit(0);
  }
  printf("{\"trip\":[");
  for (int i = 1; i <= rounds; i++) {
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    hand(there, i);
    await_not(back, i - 1);
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("%s%.3f", i > 1 ? "," : "", (b.tv_sec - a.tv_sec) * 1e6 + (b.tv_nsec - a.tv_nsec) / 1e3);
  }
  puts("]}");
  return 0;
}
