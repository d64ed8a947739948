/* A container's directory below the state root, and its record: what the short verbs need to know, without reading JSON.
 *
 * state.json stays what others read; the record is ours alone, is written beside it by whoever created the container, and its
 * absence only means that Python does the verb. */
#include "front.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { RECORD_MAGIC = 0x44524543, RECORD_VERSION = 1 };
static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+.-";

static int open_root(const struct words *w)
{
    return open(w->root ? w->root : "/run/corten-runtime", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static bool begin(struct container *c, const struct words *w)
{
    c->id = w->operands[0];
    c->dir = c->root = -1;
    size_t size = strlen(c->id);
    if (size == 0 || size > 255 || strspn(c->id, letters) != size || strcmp(c->id, ".") == 0 || strcmp(c->id, "..") == 0)
        return false;
    c->root = open_root(w);
    if (c->root < 0 && errno == ENOENT && mkdir(w->root ? w->root : "/run/corten-runtime", 0700) == 0)
        c->root = open_root(w);
    return c->root >= 0;
}

static bool enter(struct container *c)
{
    c->dir = openat(c->root, c->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return c->dir >= 0;
}

bool record_index(struct container *c)
{
    const char *at = c->record.text, *end = at + c->record.size;
    if (c->record.size > MAX_RECORD || c->record.size == 0 || end[-1])
        return false;
    for (c->texts = 0; at < end && c->texts < MAX_TEXTS; at += strlen(at) + 1)
        c->text[c->texts++] = at;
    return at == end && c->texts >= FIRST_VALUE && c->record.values <= c->texts - FIRST_VALUE;
}

bool container_open(struct container *c, const struct words *w)
{
    struct record *r = &c->record;
    if (!begin(c, w) || !enter(c))
        return false;
    ssize_t size = read_at(c->dir, "record", r, sizeof *r);
    return size > (ssize_t)offsetof(struct record, text) && r->magic == RECORD_MAGIC && r->version == RECORD_VERSION &&
           r->size == (size_t)size - offsetof(struct record, text) && r->pid > 0 && record_index(c);
}

bool container_make(struct container *c, const struct words *w)
{
    return begin(c, w) && mkdirat(c->root, c->id, 0700) == 0 && enter(c);
}

bool container_write(const struct container *c, const char *name, const void *data, size_t size)
{
    char fresh[NAME_MAX + 1];
    if (snprintf(fresh, sizeof fresh, ".%s.new", name) >= (int)sizeof fresh)
        return false;
    int fd = openat(c->dir, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool whole = write(fd, data, size) == (ssize_t)size;
    close(fd);
    return whole && renameat(c->dir, fresh, c->dir, name) == 0;
}

bool container_keep(struct container *c)
{
    c->record.magic = RECORD_MAGIC;
    c->record.version = RECORD_VERSION;
    const char *bytes = (const char *)c + offsetof(struct container, record);
    return container_write(c, "record", bytes, offsetof(struct record, text) + c->record.size);
}

bool container_remove(const struct container *c)
{
    char entries[4096] __attribute__((aligned(8)));
    for (;;) {
        long size = syscall(SYS_getdents64, c->dir, entries, sizeof entries);
        if (size < 0)
            return false;
        if (size == 0)
            return unlinkat(c->root, c->id, AT_REMOVEDIR) == 0;
        for (long at = 0; at < size;) {
            const struct dirent64 *one = (const struct dirent64 *)(entries + at);
            at += one->d_reclen;
            if (strcmp(one->d_name, ".") != 0 && strcmp(one->d_name, "..") != 0 && unlinkat(c->dir, one->d_name, 0) < 0)
                return false;
        }
    }
}

/* Field 22 of /proc/PID/stat; 0 when there is no such process, or only what its parent has not waited for. */
uint64_t start_time_of(pid_t pid)
{
    char path[32], stat[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    ssize_t size = read_at(AT_FDCWD, path, stat, sizeof stat - 1);
    stat[size > 0 ? size : 0] = 0;
    const char *at = strrchr(stat, ')');
    if (!at || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X')
        return 0;
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at, NULL, 10) : 0;
}

bool container_alive(const struct container *c, int *pidfd)
{
    *pidfd = (int)syscall(SYS_pidfd_open, c->record.pid, 0);
    if (*pidfd >= 0 && start_time_of(c->record.pid) == c->record.start)
        return true;
    if (*pidfd >= 0)
        close(*pidfd);
    *pidfd = -1;
    return false;
}

bool container_thawed(const struct container *c)
{
    char state[256];
    ssize_t size = read_at(AT_FDCWD, c->text[FREEZER], state, sizeof state - 1);
    state[size > 0 ? size : 0] = 0;
    return strcmp(state, "THAWED\n") == 0 || strstr(state, "frozen 0");
}

bool container_awaits_start(const struct container *c)
{
    return faccessat(c->dir, "start.sock", F_OK, 0) == 0;
}

bool cgroups_remove(const struct container *c)
{
    bool gone = true;
    for (uint32_t i = FIRST_VALUE + c->record.values; i < c->texts; i++)
        gone = (rmdir(c->text[i]) == 0 || errno == ENOENT) && gone;
    return gone;
}

/* Readers wait for the file to appear and read it at once, so it appears whole. */
bool write_pid_file(const char *path, pid_t pid)
{
    char fresh[MAX_PATH], text[16];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    int length = snprintf(text, sizeof text, "%d", pid);
    if (snprintf(fresh, sizeof fresh, "%.*s.%s", (int)(name - path), path, name) >= (int)sizeof fresh)
        return false;
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return false;
    bool whole = write(fd, text, (size_t)length) == length;
    close(fd);
    return whole && rename(fresh, path) == 0;
}
