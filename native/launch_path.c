/* Paths of the container: everything here starts at a handle and cannot leave it.
 *
 * openat2 with RESOLVE_IN_ROOT treats the handle as "/", for "..", absolute names and absolute links too, and
 * RESOLVE_NO_MAGICLINKS refuses the links of /proc that are not names at all. Strict resolution follows no link. */
#include "launch.h"
#include <limits.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <time.h>

enum { PROC_MAGIC = 0x9fa0, PATIENCE_MS = 1000 };

static int64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The kernel answers EAGAIN when anything was renamed during the walk: try again, but not for ever, since another container
 * that shares a volume may rename without end. */
static int open_beneath(struct launch *l, int dir, const char *path, const struct open_how *how)
{
    int fd = sys_openat2(dir, path, how);
    for (int64_t start = milliseconds(); fd < 0 && errno == EAGAIN && milliseconds() - start < PATIENCE_MS;)
        fd = sys_openat2(dir, path, how);
    if (fd < 0) {
        int failed = launch_failed(l, "openat2(");
        launch_detail(l, path);
        return failed;
    }
    return fd;
}

int resolve_in(struct launch *l, int dir, const char *path, uint64_t flags, bool strict)
{
    struct open_how how = {
        .flags = flags | O_CLOEXEC,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (strict ? RESOLVE_NO_SYMLINKS : 0),
    };
    return open_beneath(l, dir, *path ? path : ".", &how);
}

/* One more directory of a path: `prefix` ends with the component to make, `parent` is its resolved parent. */
static int make_directory(struct launch *l, int dir, int parent, const char *prefix, mode_t mode, bool strict)
{
    int fd = resolve_in(l, dir, prefix, O_PATH | O_DIRECTORY, strict);
    if (fd != -ENOENT)
        return fd;
    const char *slash = strrchr(prefix, '/');
    const char *name = slash ? slash + 1 : prefix;
    if (mkdirat(parent, name, mode) < 0 && errno != EEXIST)
        return launch_failed(l, "mkdirat(");
    return resolve_in(l, dir, prefix, O_PATH | O_DIRECTORY, strict);
}

/* Open a directory below `dir`, making what is missing; the last component gets `mode`, its parents 0755. */
static int make_directories(struct launch *l, int dir, const char *path, mode_t mode, bool strict)
{
    char prefix[PATH_MAX];
    int whole = resolve_in(l, dir, path, O_PATH | O_DIRECTORY, strict);
    if (whole != -ENOENT)
        return whole;
    AUTO_CLOSE parent = resolve_in(l, dir, "/", O_PATH | O_DIRECTORY, strict);
    for (const char *at = path + strspn(path, "/"); *at;) {
        const char *end = at + strcspn(at, "/");
        if (end - path >= PATH_MAX)
            return -ENAMETOOLONG;
        if (end - at == 2 && at[0] == '.' && at[1] == '.')
            return -EINVAL;
        memcpy(prefix, path, (size_t)(end - path));
        prefix[end - path] = 0;
        const char *next = end + strspn(end, "/");
        int fd = PASS(make_directory(l, dir, parent, prefix, *next ? 0755 : mode, strict));
        close(parent);
        parent = fd;
        at = next;
    }
    return keep_fd(&parent);
}

/* The directory that holds a path's last component, made if missing; `name` points at the component. */
static int make_parent(struct launch *l, int dir, const char *path, bool strict, const char **name)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    *name = slash ? slash + 1 : path;
    if (length >= PATH_MAX)
        return -ENAMETOOLONG;
    if (!**name || strcmp(*name, "..") == 0 || strcmp(*name, ".") == 0)
        return -EINVAL;
    memcpy(parent, path, length);
    parent[length] = 0;
    return make_directories(l, dir, parent, 0755, strict);
}

static int make_file(struct launch *l, int dir, const char *path, mode_t mode, bool strict)
{
    const char *name;
    int found = resolve_in(l, dir, path, O_PATH, strict);
    if (found != -ENOENT)
        return found;
    AUTO_CLOSE parent = PASS(make_parent(l, dir, path, strict, &name));
    if (mknodat(parent, name, S_IFREG | mode, 0) < 0 && errno != EEXIST)
        return launch_failed(l, "mknodat(");
    return resolve_in(l, dir, path, O_PATH, strict);
}

int op_root(struct launch *l, int dir)
{
    l->root = dir;
    return dir < 0 ? -EBADF : 0;
}

int op_open_in(struct launch *l, int dir, const char *path, int64_t flags, int64_t strict)
{
    const int64_t directory = 0200000, nofollow = 0400000;
    uint64_t native = (uint64_t)(flags & ~(directory | nofollow));
    native |= (flags & directory ? O_DIRECTORY : 0) | (flags & nofollow ? O_NOFOLLOW : 0);
    return resolve_in(l, dir, path, native, strict);
}

int op_mkdir_in(struct launch *l, int dir, const char *path, int64_t mode)
{
    return make_directories(l, dir, path, (mode_t)mode, false);
}

int op_create_in(struct launch *l, int dir, const char *path, int64_t mode)
{
    return make_file(l, dir, path, (mode_t)mode, false);
}

int op_mountpoint_in(struct launch *l, int dir, const char *path, int like, int64_t strict)
{
    struct stat st = {.st_mode = S_IFDIR};
    if (like != NO_FD)
        TRY(fstat(like, &st));
    if (S_ISDIR(st.st_mode))
        return make_directories(l, dir, path, 0755, strict);
    return make_file(l, dir, path, 0644, strict);
}

int op_symlink_in(struct launch *l, int dir, const char *target, const char *path)
{
    const char *name;
    AUTO_CLOSE parent = PASS(make_parent(l, dir, path, false, &name));
    TRY(symlinkat(target, parent, name));
    return 0;
}

int op_mknod_in(struct launch *l, int dir, const char *path, int64_t mode, int64_t major_number, int64_t minor_number, int64_t uid,
                int64_t gid)
{
    const char *name;
    dev_t device = makedev((unsigned)major_number, (unsigned)minor_number);
    AUTO_CLOSE parent = PASS(make_parent(l, dir, path, false, &name));
    if (mknodat(parent, name, (mode_t)mode, device) < 0) {
        struct stat st;
        int failed = launch_failed(l, "mknodat(");
        if (failed != -EEXIST || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return failed;
        if (((st.st_mode ^ (mode_t)mode) & S_IFMT) || (!S_ISFIFO(st.st_mode) && st.st_rdev != device))
            return failed;
    }
    TRY(fchownat(parent, name, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW));
    return 0;
}

int op_write_proc(struct launch *l, int proc, const char *path, struct bytes data)
{
    struct open_how how = {
        .flags = O_WRONLY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };
    struct statfs fs;
    AUTO_CLOSE fd = PASS(open_beneath(l, proc, path, &how));
    TRY(fstatfs(fd, &fs));
    if (fs.f_type != PROC_MAGIC)
        return -EMEDIUMTYPE;
    ssize_t written = TRY(write(fd, data.at, data.size));
    return written == (ssize_t)data.size ? 0 : -EIO;
}
