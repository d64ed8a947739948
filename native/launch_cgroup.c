/* Cgroups by their two names: where the hierarchy is (the host's), and the path below it (the configuration's). */
#include "launch.h"
#include <sys/stat.h>

enum { MAX_NAME = 256, MAX_VALUE = 4096 };

/* A new v1 cpuset has neither processors nor memory nodes: it takes over its parent's, unless somebody set them already. */
static int copy_down(struct launch *l, int parent, int child, const char *file)
{
    char value[MAX_VALUE];
    AUTO_CLOSE own = TRY(openat(child, file, O_RDWR | O_CLOEXEC));
    ssize_t size = TRY(read(own, value, sizeof value));
    if (size > 1)
        return 0;
    AUTO_CLOSE above = TRY(openat(parent, file, O_RDONLY | O_CLOEXEC));
    size = TRY(read(above, value, sizeof value));
    /* What it cannot take, a later attach says more clearly. */
    if (size > 1 && write(own, value, (size_t)size) < 0 && errno != EBUSY && errno != EINVAL)
        return launch_failed(l, "write(");
    return 0;
}

/* Pass the controllers on to what is below. A cgroup that holds processes itself refuses, and then goes without. */
static int enable_below(struct launch *l, int dir, const char *controllers)
{
    int result = *controllers ? write_file(l, dir, "cgroup.subtree_control", controllers, strlen(controllers)) : 0;
    return result == -EBUSY || result == -EOPNOTSUPP || result == -ENOENT ? 0 : result;
}

static int make_one(struct launch *l, int parent, const char *name, struct texts copy)
{
    if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
        return launch_failed(l, "mkdirat(");
    AUTO_CLOSE child = TRY(openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    for (size_t i = 0; i < copy.count; i++)
        PASS(copy_down(l, parent, child, copy.at[i]));
    return keep_fd(&child);
}

int op_make_cgroup(struct launch *l, const char *base, const char *path, struct texts copy, const char *enable)
{
    char name[MAX_NAME];
    AUTO_CLOSE at = TRY(open(base, O_PATH | O_DIRECTORY | O_CLOEXEC));
    for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
        size_t length = strcspn(path, "/");
        if (length >= sizeof name)
            return -ENAMETOOLONG;
        memcpy(name, path, length);
        name[length] = 0;
        if (strcmp(name, "..") == 0)
            return -EINVAL;
        PASS(enable_below(l, at, enable));
        int below = PASS(make_one(l, at, name, copy));
        close(at);
        at = below;
        path += length;
    }
    return keep_fd(&at);
}

int op_open_cgroup(struct launch *l, const char *base, const char *path)
{
    struct open_how how = {
        .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
    };
    AUTO_CLOSE at = TRY(open(base, O_PATH | O_DIRECTORY | O_CLOEXEC));
    path += strspn(path, "/");
    return TRY(sys_openat2(at, *path ? path : ".", &how));
}
