/* A layer between a process and its files, put there by LD_PRELOAD.
 *
 * It watches files whose path contains one of the words in SHIM_MATCH (separated by ':'),
 * and does one or both of these things with what is done to them:
 *
 *   SHIM_TRACE=file   writes down every change of a file or folder, in order, with its bytes;
 *   SHIM_FAULT=op:n:action   at the n-th watched call of this kind (of the process and its
 *                     children together) does what the action says.
 *
 * op      write, sync, truncate, name (create, rename, remove), or any
 * action  eio, enospc     the call fails and does nothing
 *         full            it and every later write fails with ENOSPC, as on a full disk
 *         brief           it and the next 40 fail so; then somebody has made room
 *         tear            half of the bytes are written, then the call fails with EIO
 *         short           half of the bytes are written, and the call says so
 *         kill, killmid, killafter   SIGKILL before, amid or after it, to the process or, with
 *                         SHIM_GROUP, to its whole process group
 *         note            nothing: the call is only counted, into SHIM_COUNT
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, TRUNCATE = 4, NAME = 8 };
enum { STREAM_ERROR = 0x20 }; /* glibc's _IO_ERR_SEEN, which no header has */

static char *words;
static int trace = -1;
static int fault_ops, fault_group;
static long fault_at;
static char action[16];
static volatile long *counted; /* shared with children */

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_rename)(const char *, const char *);
static int (*real_unlink)(const char *);
static int (*real_mkdir)(const char *, mode_t);
static int (*real_open)(const char *, int, ...);
static size_t (*real_fwrite)(const void *, size_t, size_t, FILE *);
static int (*real_fflush)(FILE *);

static void arm(const char *fault)
{
    char op[16] = "";
    fault_ops = 0;
    if (fault && sscanf(fault, "%15[^:]:%ld:%15s", op, &fault_at, action) == 3)
        fault_ops = !strcmp(op, "write") ? WRITE : !strcmp(op, "sync") ? SYNC
            : !strcmp(op, "truncate") ? TRUNCATE : !strcmp(op, "name") ? NAME : 15;
}

/* For a process that forks one child for each fault; called by the child. */
void shim_arm(const char *match, const char *fault)
{
    words = strdup(match);
    *counted = 0;
    arm(fault);
}

__attribute__((constructor)) static void begin(void)
{
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_rename = dlsym(RTLD_NEXT, "rename");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_mkdir = dlsym(RTLD_NEXT, "mkdir");
    real_open = dlsym(RTLD_NEXT, "open64");
    real_fwrite = dlsym(RTLD_NEXT, "fwrite");
    real_fflush = dlsym(RTLD_NEXT, "fflush");
    words = getenv("SHIM_MATCH");
    const char *name = getenv("SHIM_TRACE");
    if (name)
        trace = real_open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    arm(getenv("SHIM_FAULT"));
    fault_group = getenv("SHIM_GROUP") != NULL; /* else the process alone is killed */
    const char *count = getenv("SHIM_COUNT");
    int file = count ? real_open(count, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (file >= 0 && real_ftruncate(file, sizeof(long)) == 0)
        counted = mmap(NULL, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    else
        counted = mmap(NULL, sizeof(long), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (file >= 0)
        close(file);
}

static int watched(const char *path)
{
    if (!words || strstr(path, "-shm"))
        return 0;
    char all[512], *rest = all, *word;
    snprintf(all, sizeof all, "%s", words);
    while ((word = strsep(&rest, ":")) != NULL)
        if (*word && strstr(path, word))
            return 1;
    return 0;
}

static int path_of(int fd, char *path)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    path[size < 0 ? 0 : size] = 0;
    return size > 0 && path[0] == '/' && watched(path);
}

static void absolute(const char *path, char *full)
{
    if (path[0] == '/')
        snprintf(full, PATH_MAX, "%s", path);
    else if (getcwd(full, PATH_MAX / 2))
        snprintf(full + strlen(full), PATH_MAX / 2, "/%s", path);
}

/* kind, path and data of one change; the reader is tests/prove/disk/trace.py */
static void note(char kind, const char *path, int64_t offset, const void *data, uint32_t size)
{
    if (trace < 0)
        return;
    uint32_t length = strlen(path);
    char *record = malloc(17 + length + size);
    record[0] = kind;
    memcpy(record + 1, &offset, 8);
    memcpy(record + 9, &length, 4);
    memcpy(record + 13, &size, 4);
    memcpy(record + 17, path, length);
    if (size)
        memcpy(record + 17 + length, data, size);
    syscall(SYS_write, trace, record, (size_t)17 + length + size);
    free(record);
}

static _Noreturn void kill_now(void)
{
    if (fault_group)
        kill(0, SIGKILL);
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* What is to befall this call: 0 nothing, else the first letters of the action tell. */
static const char *due(int op)
{
    if (!(fault_ops & op) || fault_at <= 0)
        return NULL;
    long number = __sync_add_and_fetch(counted, 1);
    if (number == fault_at && strcmp(action, "note"))
        return action;
    if (number > fault_at && !strcmp(action, "full") && op != SYNC)
        return action;
    if (number > fault_at && number <= fault_at + 40 && !strcmp(action, "brief") && op != SYNC)
        return action;
    return NULL;
}

static int fails(const char *what)
{
    if (!strcmp(what, "kill"))
        kill_now();
    if (!strcmp(what, "eio") || !strcmp(what, "tear"))
        errno = EIO;
    else if (!strcmp(what, "enospc") || !strcmp(what, "full") || !strcmp(what, "brief"))
        errno = ENOSPC;
    else
        return 0;
    return 1;
}

typedef ssize_t (*writer)(int, const void *, size_t, off_t);

static ssize_t sequential(int fd, const void *data, size_t size, off_t offset)
{
    (void)offset;
    return real_write(fd, data, size);
}

static ssize_t change(int fd, const void *data, size_t size, off_t offset, writer put)
{
    char path[PATH_MAX];
    if (!path_of(fd, path))
        return put(fd, data, size, offset);
    const char *what = due(WRITE);
    int half = what && (!strcmp(what, "tear") || !strcmp(what, "short") || !strcmp(what, "killmid"));
    if (half && size > 1) {
        note('W', path, offset, data, size / 2);
        ssize_t done = put(fd, data, size / 2, offset);
        if (!strcmp(what, "killmid"))
            kill_now();
        if (!strcmp(what, "short"))
            return done;
    }
    if (what && fails(what))
        return -1;
    note('W', path, offset, data, size);
    ssize_t done = put(fd, data, size, offset);
    if (what && !strcmp(what, "killafter"))
        kill_now();
    return done;
}

ssize_t write(int fd, const void *data, size_t size)
{
    if (!words || fd < 3)
        return real_write(fd, data, size);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    return change(fd, data, size, offset, sequential);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset)
{
    return change(fd, data, size, offset, real_pwrite);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return change(fd, data, size, offset, real_pwrite);
}

static int around(int op, char kind, int fd, off_t size, int (*call)(int))
{
    char path[PATH_MAX];
    if (!path_of(fd, path))
        return call ? call(fd) : real_ftruncate(fd, size);
    const char *what = due(op);
    if (what && fails(what))
        return -1;
    int done = call ? call(fd) : real_ftruncate(fd, size);
    note(kind, path, size, NULL, 0); /* a flush counts from when it is over */
    if (what && !strncmp(what, "kill", 4))
        kill_now();
    return done;
}

int fsync(int fd) { return around(SYNC, 'S', fd, 0, real_fsync); }
int fdatasync(int fd) { return around(SYNC, 'S', fd, 0, real_fdatasync); }
int ftruncate64(int fd, off_t size) { return around(TRUNCATE, 'T', fd, size, NULL); }
int ftruncate(int fd, off_t size) { return around(TRUNCATE, 'T', fd, size, NULL); }

static int renamed(char kind, const char *from, const char *to, int (*call)(const char *))
{
    char full[PATH_MAX], other[PATH_MAX] = "";
    absolute(from, full);
    if (to)
        absolute(to, other);
    if (!watched(full) && !(to && watched(other)))
        return to ? real_rename(from, to) : call(from);
    const char *what = due(NAME);
    if (what && fails(what))
        return -1;
    note(kind, full, 0, other, strlen(other));
    int done = to ? real_rename(from, to) : call(from);
    if (what && !strncmp(what, "kill", 4))
        kill_now();
    return done;
}

int rename(const char *from, const char *to) { return renamed('R', from, to, NULL); }
int unlink(const char *path) { return renamed('U', path, NULL, real_unlink); }

int mkdir(const char *path, mode_t mode)
{
    char full[PATH_MAX];
    absolute(path, full);
    int done = real_mkdir(path, mode);
    if (!done && watched(full))
        note('M', full, 0, NULL, 0);
    return done;
}

static int opened(const char *path, int flags, mode_t mode)
{
    char full[PATH_MAX];
    struct stat there;
    int makes = 0;
    if (words && flags & (O_CREAT | O_TRUNC)) {
        absolute(path, full);
        makes = watched(full);
        if (makes && flags & O_CREAT && stat(full, &there) != 0) {
            const char *what = due(NAME);
            if (what && fails(what))
                return -1;
            note('C', full, 0, NULL, 0);
        } else if (makes && flags & O_TRUNC) {
            note('T', full, 0, NULL, 0);
        }
    }
    return real_open(path, flags, mode);
}

/* A snapshot's child lets go of every descriptor; the trace must go on nevertheless. */
int close_range(unsigned first, unsigned last, int flags)
{
    if (trace < 0 || (unsigned)trace < first || (unsigned)trace > last)
        return syscall(SYS_close_range, first, last, flags);
    if ((unsigned)trace > first)
        syscall(SYS_close_range, first, trace - 1, flags);
    return syscall(SYS_close_range, trace + 1, last, flags);
}

#define MODE(flags) ({ mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list list; \
    va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); } mode; })

int open(const char *path, int flags, ...) { return opened(path, flags, MODE(flags)); }
int open64(const char *path, int flags, ...) { return opened(path, flags, MODE(flags)); }

/* QuickFIX's file store writes through stdio, whose own calls to write cannot be seen. */

size_t fwrite(const void *data, size_t size, size_t count, FILE *file)
{
    char path[PATH_MAX];
    if (!words || !path_of(fileno(file), path))
        return real_fwrite(data, size, count, file);
    const char *what = due(WRITE);
    if (what && !strcmp(what, "killmid")) {
        real_fwrite(data, 1, size * count / 2, file);
        real_fflush(file);
        kill_now();
    }
    if (what && fails(what)) {
        file->_flags |= STREAM_ERROR; /* As the C library does: ferror() says so from here on. */
        return 0;
    }
    size_t done = real_fwrite(data, size, count, file);
    if (what && !strcmp(what, "killafter")) {
        real_fflush(file);
        kill_now();
    }
    return done;
}

int fflush(FILE *file)
{
    char path[PATH_MAX];
    if (!words || !file || !path_of(fileno(file), path))
        return real_fflush(file);
    const char *what = due(SYNC);
    if (what && fails(what))
        return EOF;
    int done = real_fflush(file);
    if (what && !strncmp(what, "kill", 4))
        kill_now();
    return done;
}
