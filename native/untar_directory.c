/* The directories that `corten @untar` fills: reached by handles from the root, never by a path that is resolved twice. */
#include "untar.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { LIST = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, IMPLIED_MODE = 0755 };

struct extraction it;

static struct directory { /* the one that was used last: archives list files by directory */
    char path[PATH_MAX];
    int fd;
    bool gives_group; /* what is created in it takes its group, whatever we are (a setgid directory) */
} here = {.fd = -1};

static void *made; /* a tree of paths; only a plain tree needs to know */

const char *clean(char *to, const char *name)
{
    size_t length = 0;
    if (strlen(name) >= PATH_MAX)
        refuse(INVALID, name, "the path is %zu bytes long", strlen(name));
    for (const char *part = name; *part;) {
        size_t size = strcspn(part, "/");
        if (size == 2 && !memcmp(part, "..", 2)) {
            if (!length)
                refuse(INVALID, name, "the path leads out of the layer");
            while (length && to[--length] != '/')
                ;
        } else if (size && !(size == 1 && *part == '.')) {
            if (length)
                to[length++] = '/';
            memcpy(to + length, part, size);
            length += size;
        }
        part += size + (part[size] == '/');
    }
    to[length] = 0;
    return to;
}

const char *split(const char *path, char *parent)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    memcpy(parent, path, length);
    parent[length] = 0;
    return slash ? slash + 1 : path;
}

int open_below(const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = resolve | RESOLVE_NO_MAGICLINKS};
    int fd;
    do
        fd = (int)syscall(SYS_openat2, it.root, path, &how, sizeof how);
    while (fd < 0 && (errno == EAGAIN || errno == EINTR));
    return fd;
}

static int compare(const void *one, const void *other) { return strcmp(one, other); }

bool is_remembered(const char *path) { return tfind(path, &made, compare); }

/* In overlay form nothing but this layer is there. */
static bool is_ours(const char *path) { return it.overlay || is_remembered(path); }

void remember(const char *path)
{
    char parent[PATH_MAX];
    while (!it.overlay && *path && !is_remembered(path)) {
        if (!tsearch(kept(path), &made, compare))
            refuse(EXHAUSTED, it.name, "no memory");
        char up[PATH_MAX];
        split(path, up);
        path = strcpy(parent, up);
    }
}

bool is_whiteout(const struct stat *found) { return it.overlay && S_ISCHR(found->st_mode) && !found->st_rdev; }

void mark_opaque(int fd)
{
    if (it.overlay)
        TRY(fsetxattr(fd, it.opaque, "y", 1, 0));
}

/* Get beyond something that is no directory: through a link, over what a lower layer had, over a whiteout. */
static int past(int parent, const char *name, const char *path)
{
    struct stat found;
    TRY(fstatat(parent, name, &found, AT_SYMLINK_NOFOLLOW));
    bool hidden = is_whiteout(&found);
    if (!hidden && S_ISLNK(found.st_mode)) {
        int fd = open_below(path, O_RDONLY | O_DIRECTORY, RESOLVE_IN_ROOT);
        if (fd >= 0)
            return fd;
    }
    if (!hidden && is_ours(path))
        refuse(INVALID, it.name, "the path %s is no directory", path);
    TRY(unlinkat(parent, name, 0));
    TRY(mkdirat(parent, name, IMPLIED_MODE));
    int fd = openat(parent, name, LIST);
    TRY(fd);
    if (hidden) /* whiteout and directory in one layer mean that nothing of the lower one shows */
        mark_opaque(fd);
    return fd;
}

int walk(const char *path)
{
    char prefix[PATH_MAX];
    int fd = *path ? open_below(path, O_RDONLY | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS) : dup(it.root);
    if (fd >= 0)
        return fd;
    fd = dup(it.root);
    TRY(fd);
    for (size_t start = 0, length; path[start]; start += length + (path[start + length] == '/')) {
        length = strcspn(path + start, "/");
        memcpy(prefix, path, start + length);
        prefix[start + length] = 0;
        int next = openat(fd, prefix + start, LIST);
        if (next < 0 && errno == ENOENT) {
            TRY(mkdirat(fd, prefix + start, IMPLIED_MODE));
            next = openat(fd, prefix + start, LIST);
        } else if (next < 0 && (errno == ENOTDIR || errno == ELOOP)) {
            next = past(fd, prefix + start, prefix);
        }
        TRY(next);
        close(fd);
        fd = next;
    }
    return fd;
}

/* After a directory was removed, the handle we keep may lead to what is no longer there. */
static void forget(void)
{
    if (here.fd >= 0)
        close(here.fd);
    here.fd = -1;
}

int directory(const char *path)
{
    struct stat found;
    if (here.fd >= 0 && !strcmp(here.path, path))
        return here.fd;
    int fd = walk(path);
    forget();
    TRY(fstat(fd, &found));
    here.fd = fd, here.gives_group = found.st_mode & S_ISGID;
    strcpy(here.path, path);
    return fd;
}

bool gives_group(void) { return here.gives_group; }

/* Remove what directory `fd` holds but directories; the name of one of those, or NULL when it is empty. Closes `fd`. */
static char *strip(int fd)
{
    char *child = NULL;
    DIR *list = fdopendir(fd);
    if (!list)
        failed();
    for (struct dirent *found; !child && (found = readdir(list));) {
        if (!strcmp(found->d_name, ".") || !strcmp(found->d_name, "..") || !unlinkat(dirfd(list), found->d_name, 0))
            continue;
        if (errno != EISDIR)
            failed();
        child = kept(found->d_name);
    }
    closedir(list);
    return child;
}

/* Remove whatever `name` is, with everything below. Few handles are open at a time: no depth is too deep. */
void remove_tree(int parent, const char *name)
{
    char **names = NULL, *child;
    size_t depth = 0;
    if (!unlinkat(parent, name, 0) || errno == ENOENT)
        return;
    if (errno != EISDIR)
        failed();
    forget();
    int fd = openat(parent, name, LIST);
    for (;;) {
        TRY(fd);
        int again = openat(fd, ".", LIST);
        TRY(again);
        if ((child = strip(again))) {
            names = allocate(names, (depth + 1) * sizeof *names);
            names[depth++] = child;
        } else if (!depth) {
            break;
        }
        int next = openat(fd, child ? child : "..", LIST);
        TRY(next);
        close(fd);
        fd = next;
        if (!child) {
            TRY(unlinkat(fd, names[--depth], AT_REMOVEDIR));
            free(names[depth]);
        }
    }
    close(fd);
    free(names);
    TRY(unlinkat(parent, name, AT_REMOVEDIR));
}

int cleared(const char *parent, const char *name)
{
    int fd = walk(parent); /* our own: removing a directory forgets the handle that is kept */
    remove_tree(fd, name);
    close(fd);
    return directory(parent);
}
