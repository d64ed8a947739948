/* Cgroups by their two names: where the hierarchy is (the host's), and the path below it (the configuration's). */
#include "launch.h"
#include <stdio.h>
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

/* A cgroup that holds processes, or a threaded one, passes nothing on: what it then could, would make it threaded. */
static int holds_processes(int result)
{
    return result == -EBUSY || result == -EOPNOTSUPP;
}

/* One of the controllers is refused: by realtime processes (cpu), by the owner of files or processes, or from above. */
static int refused_one(int result)
{
    return result == -EINVAL || result == -ENOENT || result == -EACCES || result == -EPERM;
}

/* Pass the controllers on to what is below: all at once, or where one of them is refused, each that is not. */
static int enable_below(struct launch *l, int dir, const char *controllers)
{
    if (!*controllers)
        return 0;
    int result = write_file(l, dir, "cgroup.subtree_control", controllers, strlen(controllers));
    if (!refused_one(result))
        return holds_processes(result) ? 0 : result;
    while (*controllers) {
        size_t length = strcspn(controllers, " ");
        result = write_file(l, dir, "cgroup.subtree_control", controllers, length);
        if (result < 0 && !refused_one(result) && !holds_processes(result))
            return result;
        controllers += length + strspn(controllers + length, " ");
    }
    return 0;
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

/* Where the process is below the cgroup `path`, as /proc/PID/cgroup says it; "" when it is in there itself. */
static int place_below(struct launch *l, int64_t pid, const char *path, char *text, size_t size, const char **tail)
{
    char name[64];
    *tail = "";
    snprintf(name, sizeof name, "/proc/%lld/cgroup", (long long)pid);
    AUTO_CLOSE file = TRY(open(name, O_RDONLY | O_CLOEXEC));
    ssize_t got = TRY(read(file, text, size - 1));
    text[got] = 0;
    char *own = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    if (!own || !*path)
        return 0;
    own[strcspn(own + 1, "\n") + 1] = 0;
    char *found = strstr(own, path);
    size_t length = strlen(path);
    if (found && found[-1] == '/' && found[length] == '/')
        *tail = found + length + 1;
    return 0;
}

int op_open_cgroup(struct launch *l, const char *base, const char *path, int64_t pid)
{
    char text[MAX_VALUE];
    const char *tail;
    struct open_how how = {
        .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
    };
    AUTO_CLOSE at = TRY(open(base, O_PATH | O_DIRECTORY | O_CLOEXEC));
    path += strspn(path, "/");
    AUTO_CLOSE cgroup = TRY(sys_openat2(at, *path ? path : ".", &how));
    int divided = pid ? openat(cgroup, "cgroup.subtree_control", O_RDONLY | O_CLOEXEC) : -1;
    AUTO_CLOSE passed = divided; /* v1 has no such file */
    if (passed < 0 || TRY(read(passed, text, 1)) == 0)
        return keep_fd(&cgroup);
    PASS(place_below(l, pid, path, text, sizeof text, &tail));
    return TRY(sys_openat2(cgroup, *tail ? tail : ".", &how));
}
