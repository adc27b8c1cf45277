/* What C does with an mmap of the file: the measure for bench/search.mjs, which compiles and runs this.
 *
 *   search FILE count|last|find NEEDLE MAPPINGS LOOKS
 *
 * Maps the file MAPPINGS times, and looks through each mapping LOOKS times. Prints the answer, and the
 * milliseconds of each look; of the first look in a mapping from before it is mapped to after it is unmapped.
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

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  const char *needle = argv[3];
  long answer = 0;
  for (int mapping = 0; mapping < atoi(argv[4]); mapping++) {
    double begin = now();
    int fd = open(argv[1], O_RDONLY);
    struct stat file;
    if (fd < 0 || fstat(fd, &file)) return 1;
    size_t length = file.st_size;
    char *text = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0);
    if (text == MAP_FAILED) return 1;
    double first = 0;
    for (int look = 0; look < atoi(argv[5]); look++) {
      double start = now();
      const char *found = text - 1;
      if (argv[2][0] == 'c') answer = count(text, length, needle[0]);
      if (argv[2][0] == 'l') found = memrchr(text, needle[0], length - 1);
      if (argv[2][0] == 'f') found = memmem(text, length, needle, strlen(needle));
      if (argv[2][0] != 'c') answer = found ? found - text : -1;
      if (look == 0) first = now() - begin;
      else printf("again %f\n", now() - start);
    }
    double end = now();
    munmap(text, length);
    close(fd);
    printf("first %f\n", first + now() - end);
  }
  printf("answer %ld\n", answer);
  return 0;
}
