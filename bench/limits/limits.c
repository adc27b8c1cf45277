/* What mmap(2) costs in C, for each question of the benchmark that C can answer:
 *
 *   limits open FILE MILLISECONDS      open, fstat, mmap, load, munmap, close: microseconds of each
 *   limits sum FILE u8|u32|f64         milliseconds of the sum of all elements, from open on and once more
 *   limits random FILE COUNT           nanoseconds of a load of 8 bytes anywhere, at first and once more
 *   limits touch FILE plain|populate|sequential   milliseconds to touch each page, from mmap on; page faults that this took
 *   limits write FILE MEBIBYTES        milliseconds to fill the file through a shared mapping and sync it
 *   limits scale FILE COUNT            microseconds for each of many mappings at once: to map, to touch, to unmap
 *
 * Prints JSON: numbers by the name of what they are.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void) { /* milliseconds */
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static char *map(const char *file, int flags, size_t *length) {
  int fd = open(file, O_RDONLY);
  struct stat stat;
  if (fd < 0 || fstat(fd, &stat)) fail(file);
  *length = stat.st_size;
  char *bytes = mmap(NULL, *length, PROT_READ, MAP_SHARED | flags, fd, 0);
  if (bytes == MAP_FAILED) fail("mmap");
  close(fd);
  return bytes;
}

static volatile double sink;

static void sum(const char *bytes, size_t length, char type) { /* type: the second letter of u8, u32 or f64 */
  if (type == '6') {
    double total = 0;
    for (size_t i = 0; i < length / 8; i++) total += ((const double *)bytes)[i];
    sink = total;
    return;
  }
  uint64_t total = 0;
  if (type == '8') for (size_t i = 0; i < length; i++) total += (unsigned char)bytes[i];
  else for (size_t i = 0; i < length / 4; i++) total += ((const uint32_t *)bytes)[i];
  sink = total;
}

static void randomly(const char *bytes, size_t length, long count) {
  double total = 0;
  uint32_t state = 1;
  uint64_t elements = length / 8;
  for (long i = 0; i < count; i++) {
    state = state * 1664525u + 1013904223u;
    total += ((const double *)bytes)[state * elements >> 32];
  }
  sink = total;
}

static void touch(const char *bytes, size_t length) {
  unsigned total = 0;
  for (size_t at = 0; at < length; at += 4096) total += (unsigned char)bytes[at];
  sink = total;
}

static void open_close(const char *file, double limit) {
  double begin = now();
  printf("{\"time\":[");
  for (int i = 0; i < 100000 && now() - begin < limit; i++) {
    double start = now();
    size_t length;
    char *bytes = map(file, 0, &length);
    sink = bytes[8];
    munmap(bytes, length);
    printf("%s%.3f", i ? "," : "", (now() - start) * 1e3);
  }
  printf("]}\n");
}

static void scale(const char *file, long count) {
  char **maps = malloc(count * sizeof *maps);
  size_t length = 0;
  double start = now();
  for (long i = 0; i < count; i++) maps[i] = map(file, 0, &length);
  double mapped = now();
  for (long i = 0; i < count; i++) sink = maps[i][0];
  double touched = now();
  for (long i = 0; i < count; i++) munmap(maps[i], length);
  double closed = now(), each = 1e3 / count;
  printf("{\"map\":[%f],\"fault\":[%f],\"close\":[%f]}\n", (mapped - start) * each, (touched - mapped) * each,
         (closed - touched) * each);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  char *what = argv[1], *file = argv[2], *argument = argv[3];
  if (!strcmp(what, "open")) return open_close(file, atof(argument)), 0;
  if (!strcmp(what, "scale")) return scale(file, atol(argument)), 0;

  double start = now();
  if (!strcmp(what, "write")) {
    size_t length = atol(argument) << 20;
    unlink(file);
    sync(); /* stores wait while the disk is busy */
    start = now();
    int fd = open(file, O_RDWR | O_CREAT, 0666);
    if (fd < 0 || ftruncate(fd, length)) fail(file);
    char *bytes = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED) fail("mmap");
    memset(bytes, 7, length);
    double stored = now();
    if (msync(bytes, length, MS_SYNC)) fail("msync");
    double end = now();
    printf("{\"store\":[%f],\"sync\":[%f]}\n", stored - start, end - stored);
    return 0;
  }

  struct rusage before, after;
  size_t length;
  char *bytes = map(file, !strcmp(argument, "populate") ? MAP_POPULATE : 0, &length);
  if (!strcmp(what, "touch")) {
    if (!strcmp(argument, "sequential")) madvise(bytes, length, MADV_SEQUENTIAL);
    getrusage(RUSAGE_SELF, &before);
    touch(bytes, length);
    double end = now();
    getrusage(RUSAGE_SELF, &after);
    printf("{\"time\":[%f],\"faults\":[%ld]}\n", end - start, after.ru_minflt - before.ru_minflt);
    return 0;
  }
  int sums = !strcmp(what, "sum");
  double unit = sums ? 1 : 1e6 / atol(argument);
  for (int round = 0; round < 2; round++) {
    if (round) start = now();
    if (sums) sum(bytes, length, argument[1]);
    else randomly(bytes, length, atol(argument));
    printf("%s\"%s\":[%f]", round ? "," : "{", round ? "again" : "first", (now() - start) * unit);
  }
  puts("}");
  return 0;
}
