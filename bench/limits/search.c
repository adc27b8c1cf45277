/* What C does with an mmap of a text:
 *
 *   search FILE count|last|find NEEDLE ROUNDS fresh|warm
 *
 * Prints JSON: milliseconds of each round, fresh ones from open to munmap, warm ones of the search alone, of pages
 * that are mapped; and the answer.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static long count(const char *text, size_t length, char byte) {
  long found = 0;
  const char *end = text + length;
  for (const char *at = text; (at = memchr(at, byte, end - at)); at++) found++;
  return found;
}

static long search(const char *text, size_t length, char what, const char *needle) {
  if (what == 'c') return count(text, length, needle[0]);
  const char *found =
      what == 'l' ? memrchr(text, needle[0], length - 1) : memmem(text, length, needle, strlen(needle));
  return found ? found - text : -1;
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  int rounds = atoi(argv[4]), fresh = argv[5][0] == 'f';
  long answer = 0;
  char *text = NULL;
  size_t length = 0;
  printf("{\"time\":[");
  for (int round = -1; round < rounds; round++) {
    double start = now();
    if (!text) {
      int fd = open(argv[1], O_RDONLY);
      struct stat file;
      if (fd < 0 || fstat(fd, &file)) return 1;
      length = file.st_size;
      text = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0);
      if (text == MAP_FAILED) return 1;
      close(fd);
    }
    answer = search(text, length, argv[2][0], argv[3]);
    if (fresh) {
      munmap(text, length);
      text = NULL;
    }
    if (round >= 0) printf("%s%f", round ? "," : "", now() - start);
  }
  printf("],\"answer\":[%ld]}\n", answer);
  return 0;
}
