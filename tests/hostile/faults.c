/* A shim for LD_PRELOAD: the call number FAULT_AT to write, sync, rename or create a file below the folder FAULT_BELOW fails with FAULT_ERRNO.
 * Earlier and later ones work. With FAULT_AT=0 none fails, and their number is written to the file FAULT_COUNT at the end. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;

static int is_below(const char *path) {
    const char *below = getenv("FAULT_BELOW");
    return below && strncmp(path, below, strlen(below)) == 0;
}

static int is_file_below(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

/* Counts a call, and tells whether it fails. */
static int fails(void) {
    const char *at = getenv("FAULT_AT"), *number = getenv("FAULT_ERRNO");
    long call = atomic_fetch_add(&calls, 1) + 1;
    if (!at || call != atol(at)) return 0;
    errno = number ? atoi(number) : EIO;
    return 1;
}

static void __attribute__((destructor)) report(void) {
    const char *count = getenv("FAULT_COUNT");
    if (!count) return;
    FILE *file = fopen(count, "w");
    if (!file) return;
    fprintf(file, "%ld", atomic_load(&calls));
    fclose(file);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *buffer, size_t length) {
    return is_file_below(fd) && fails() ? -1 : NEXT(write)(fd, buffer, length);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    return is_file_below(fd) && fails() ? -1 : NEXT(writev)(fd, parts, count);
}
ssize_t pwrite64(int fd, const void *buffer, size_t length, off64_t at) {
    return is_file_below(fd) && fails() ? -1 : NEXT(pwrite64)(fd, buffer, length, at);
}
int fsync(int fd) { return is_file_below(fd) && fails() ? -1 : NEXT(fsync)(fd); }
int fdatasync(int fd) { return is_file_below(fd) && fails() ? -1 : NEXT(fdatasync)(fd); }
int ftruncate64(int fd, off64_t length) { return is_file_below(fd) && fails() ? -1 : NEXT(ftruncate64)(fd, length); }
int rename(const char *from, const char *to) { return is_below(to) && fails() ? -1 : NEXT(rename)(from, to); }
int open64(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return flags & O_CREAT && is_below(path) && fails() ? -1 : NEXT(open64)(path, flags, mode);
}
