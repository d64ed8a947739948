/* tmpcopyup: copy a directory of the image into the fresh filesystem that will hide it, by handles only. */
#include "launch.h"
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { MAX_DEPTH = 64, MAX_ENTRIES_BYTES = 8192 };

struct entry { /* struct linux_dirent64 */
    uint64_t inode;
    int64_t offset;
    unsigned short size;
    unsigned char type;
    char name[];
};

static int copy_directory(struct launch *l, int source, int target, int depth);

static int copy_bytes(struct launch *l, int source, int target)
{
    for (;;) {
        ssize_t n = copy_file_range(source, NULL, target, NULL, 1 << 30, 0);
        if (n == 0)
            return 0;
        if (n > 0)
            continue;
        if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP)
            return launch_failed(l, "copy_file_range(");
        char buffer[16384];
        ssize_t got = TRY(read(source, buffer, sizeof buffer));
        if (got == 0)
            return 0;
        ssize_t put = TRY(write(target, buffer, (size_t)got));
        if (put != got)
            return -EIO;
    }
}

static int copy_attributes(struct launch *l, int fd, const struct stat *st)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    TRY(fchown(fd, st->st_uid, st->st_gid));
    TRY(fchmod(fd, st->st_mode & 07777));
    TRY(futimens(fd, times));
    return 0;
}

static int copy_file(struct launch *l, int source, int target, const char *name, const struct stat *st)
{
    AUTO_CLOSE in = TRY(openat(source, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    AUTO_CLOSE out = TRY(openat(target, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    PASS(copy_bytes(l, in, out));
    return copy_attributes(l, out, st);
}

static int copy_symlink(struct launch *l, int source, int target, const char *name, const struct stat *st)
{
    char link[PATH_MAX];
    ssize_t size = TRY(readlinkat(source, name, link, sizeof link - 1));
    link[size] = 0;
    TRY(symlinkat(link, target, name));
    TRY(fchownat(target, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW));
    return 0;
}

static int copy_subdirectory(struct launch *l, int source, int target, const char *name, const struct stat *st, int depth)
{
    AUTO_CLOSE in = TRY(openat(source, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    TRY(mkdirat(target, name, 0700));
    AUTO_CLOSE out = TRY(openat(target, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    PASS(copy_directory(l, in, out, depth + 1));
    return copy_attributes(l, out, st);
}

static int copy_entry(struct launch *l, int source, int target, const char *name, int depth)
{
    struct stat st;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return 0;
    TRY(fstatat(source, name, &st, AT_SYMLINK_NOFOLLOW));
    if (S_ISDIR(st.st_mode))
        return copy_subdirectory(l, source, target, name, &st, depth);
    if (S_ISREG(st.st_mode))
        return copy_file(l, source, target, name, &st);
    if (S_ISLNK(st.st_mode))
        return copy_symlink(l, source, target, name, &st);
    TRY(mknodat(target, name, st.st_mode, st.st_rdev));
    TRY(fchownat(target, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW));
    return 0;
}

static int copy_directory(struct launch *l, int source, int target, int depth)
{
    char entries[MAX_ENTRIES_BYTES] __attribute__((aligned(8)));
    if (depth > MAX_DEPTH)
        return -ELOOP;
    for (;;) {
        int size = TRY(CALL(SYS_getdents64, source, entries, sizeof entries));
        if (size == 0)
            return 0;
        for (int at = 0; at < size;) {
            const struct entry *entry = (const struct entry *)(entries + at);
            PASS(copy_entry(l, source, target, entry->name, depth));
            at += entry->size;
        }
    }
}

int op_copy_up(struct launch *l, int source, int target)
{
    /* Both come as O_PATH handles, or as a detached mount's. */
    AUTO_CLOSE in = TRY(openat(source, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    AUTO_CLOSE out = TRY(openat(target, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat st;
    TRY(fstat(in, &st));
    PASS(copy_directory(l, in, out, 0));
    return copy_attributes(l, out, &st);
}
