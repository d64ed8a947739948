/* corten @untar FORM OWNERS ROOT ANSWER: unpack a layer, an uncompressed tar on stdin, below the directory handle ROOT.
 *
 * FORM says how a deletion is marked (plain, overlay, overlay-user), OWNERS whether files get their owners (1) or stay ours (0).
 * The rules are image-spec's (layer.md, "Applying Changesets"): a directory over a directory changes its attributes, anything
 * else replaces what is there, whiteouts hide lower layers only. The directory is ours alone until the layer is in it, so
 * nobody races the walk; what must be held off is the archive: each directory is reached by a handle from ROOT, without
 * following links, and where a link stands the kernel resolves it with ROOT as "/" (openat2, RESOLVE_IN_ROOT).
 *
 * On the socket ANSWER go records, each a letter, a text and a NUL: W a warning, G a whiteout and O an opaque directory (which
 * lower layers must be asked about), P the pause in which that is done and which any byte ends, S bytes, N entries; or K the
 * kind of a refusal, F the name it is about, X its reason. (layers/apply.py is the other side.) */
#include "corten.h"
#include "untar.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { CREATE = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MOST_WARNINGS = 100 };
enum { LIST = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, MOST_MAJOR = (1 << 12) - 1, MOST_MINOR = (1 << 20) - 1 };
#define MOST_ID 0xfffffffeull /* the largest id means "leave it" to chown(2): such an entry would keep our own user */

struct late { /* a directory's time changes as it is filled, so times of directories are set last */
    char *path;
    struct timespec modified;
};

static struct {
    int answer;
    bool owners, exact; /* exact: what is created has the mode that was asked for */
    uid_t uid;
    gid_t gid;
    FILE *out;
    char *said;
    size_t said_size;
    unsigned long warnings, count;
    uint64_t size;
    struct late *late;
    size_t late_count;
} our;

/* --- telling */

static void tell(char letter, const char *text)
{
    fprintf(our.out, "%c%s%c", letter, text, 0);
}

static void send_answer(void)
{
    fflush(our.out);
    for (size_t sent = 0; sent < our.said_size;) {
        ssize_t n = send(our.answer, our.said + sent, our.said_size - sent, MSG_NOSIGNAL);
        if (n < 0)
            _exit(1); /* nobody listens any more */
        sent += (size_t)n;
    }
    rewind(our.out);
}

_Noreturn void refuse(char kind, const char *name, const char *format, ...)
{
    va_list arguments;
    fprintf(our.out, "K%c%c", kind, 0);
    if (name)
        tell('F', name);
    fputc('X', our.out);
    va_start(arguments, format);
    vfprintf(our.out, format, arguments);
    va_end(arguments);
    fputc(0, our.out);
    send_answer();
    _exit(1);
}

void failed(void)
{
    int error = errno;
    bool full = error == ENOSPC || error == EDQUOT || error == EMFILE;
    const char *cause = error == ENAMETOOLONG ? "a name is too long" : error == ENOENT ? "it does not exist" : strerror(error);
    refuse(full ? EXHAUSTED : error == EPERM || error == EACCES ? DENIED : INVALID, it.name, "%s", cause);
}

void *allocate(void *old, size_t size)
{
    void *memory = realloc(old, size);
    if (!memory)
        refuse(EXHAUSTED, it.name, "no memory");
    return memory;
}

char *kept(const char *text)
{
    return strcpy(allocate(NULL, strlen(text) + 1), text);
}

/* --- attributes */

/* Attributes that the file system may not be able to keep: Docker goes on without them, and so do we, but we say so.
 * overlayfs obeys xattrs of its own names; from a layer they are data, kept the way it nests itself (overlayfs.rst). */
static void set_attribute(const struct attribute *one, int fd, const char *path)
{
    static const char *const orders[] = {"trusted.overlay.", "user.overlay."};
    char name[XATTR_NAME_MAX + 16];
    size_t kept = 0;
    for (int i = 0; it.overlay && i < 2; i++)
        if (!strncmp(one->name, orders[i], strlen(orders[i])))
            kept = strlen(orders[i]);
    if (snprintf(name, sizeof name, "%.*s%s%s", (int)kept, one->name, kept ? "overlay." : "", one->name + kept) > XATTR_NAME_MAX)
        refuse(INVALID, it.name, "the name of an extended attribute is too long");
    our.exact &= strcmp(one->name, "system.posix_acl_default") != 0; /* modes of what is made below come from that list now */
    if (path ? !lsetxattr(path, name, one->value, one->size, 0) : !fsetxattr(fd, name, one->value, one->size, 0))
        return;
    if (errno != EOPNOTSUPP && errno != EPERM && errno != EACCES)
        failed();
    if (our.warnings++ < MOST_WARNINGS)
        fprintf(our.out, "W%.200s: extended attribute %s not kept: %s%c", it.name, one->name, strerror(errno), 0);
}

static void set_attributes(const struct member *member, int dir, const char *name)
{
    char path[NAME_MAX + 40]; /* setxattr(2) takes no directory handle, and a link or device cannot be opened for it */
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", dir, name);
    for (size_t i = 0; i < member->attribute_count; i++)
        set_attribute(&member->attributes[i], -1, path);
}

static bool needs_owner(const struct member *member)
{
    return our.owners && (member->uid != our.uid || member->gid != our.gid || gives_group());
}

static void set_times(int dir, const char *name, struct timespec modified)
{
    const struct timespec both[] = {modified, modified};
    TRY(utimensat(dir, name, both, AT_SYMLINK_NOFOLLOW));
}

static void dress(const struct member *member, int dir, const char *name)
{
    if (needs_owner(member))
        TRY(fchownat(dir, name, (uid_t)member->uid, (gid_t)member->gid, AT_SYMLINK_NOFOLLOW));
    set_attributes(member, dir, name);
    set_times(dir, name, member->modified);
}

static void dress_directory(const struct member *member, const char *path, int dir, const char *name)
{
    if (our.owners)
        TRY(fchownat(dir, name, (uid_t)member->uid, (gid_t)member->gid, AT_SYMLINK_NOFOLLOW));
    set_attributes(member, dir, name);
    TRY(fchmodat(dir, name, member->mode, 0)); /* just made or seen as a directory: no link to follow */
    if (!(our.late_count & (our.late_count + 1)))
        our.late = allocate(our.late, (our.late_count + 1) * 2 * sizeof *our.late);
    our.late[our.late_count++] = (struct late){kept(path), member->modified};
}

/* --- members; `parent` is the path of the directory that holds `name` */

static void make_file(const struct member *member, const char *parent, const char *name)
{
    int fd = openat(directory(parent), name, CREATE, member->mode & 0777);
    if (fd < 0 && errno == EEXIST)
        fd = openat(cleared(parent, name), name, CREATE, member->mode & 0777);
    TRY(fd);
    if (!copy_data(fd))
        failed();
    if (needs_owner(member))
        TRY(fchown(fd, (uid_t)member->uid, (gid_t)member->gid));
    for (size_t i = 0; i < member->attribute_count; i++)
        set_attribute(&member->attributes[i], fd, NULL);
    if (!our.exact || member->mode & 07000)
        TRY(fchmod(fd, member->mode));
    const struct timespec both[] = {member->modified, member->modified};
    TRY(futimens(fd, both));
    TRY(close(fd));
    our.size += member->size;
}

/* A directory stays and takes new attributes; anything else makes place. A whiteout leaves an opaque mark. */
static void make_directory(const struct member *member, const char *path, const char *parent, const char *name)
{
    struct stat found;
    int dir = directory(parent), made = mkdirat(dir, name, member->mode & 0777);
    if (made < 0 && errno != EEXIST)
        failed();
    if (made < 0) {
        TRY(fstatat(dir, name, &found, AT_SYMLINK_NOFOLLOW));
        if (!S_ISDIR(found.st_mode)) {
            TRY(unlinkat(dir, name, 0));
            TRY(mkdirat(dir, name, 0700));
            if (is_whiteout(&found)) {
                int fd = openat(dir, name, LIST);
                TRY(fd);
                mark_opaque(fd);
                close(fd);
            }
        }
    }
    dress_directory(member, path, dir, name);
}

static void make_symlink(const struct member *member, const char *parent, const char *name)
{
    int dir = directory(parent);
    if (symlinkat(member->link, dir, name) < 0) {
        if (errno != EEXIST)
            failed();
        dir = cleared(parent, name);
        TRY(symlinkat(member->link, dir, name));
    }
    dress(member, dir, name);
}

static void make_node(const struct member *member, const char *parent, const char *name)
{
    mode_t kind = member->type == CHARACTER ? S_IFCHR : member->type == BLOCK_DEVICE ? S_IFBLK : S_IFIFO;
    dev_t device = makedev((unsigned)member->major, (unsigned)member->minor);
    int dir = directory(parent);
    if (mknodat(dir, name, kind | (member->mode & 0777), device) < 0) {
        if (errno != EEXIST)
            failed();
        dir = cleared(parent, name);
        TRY(mknodat(dir, name, kind | (member->mode & 0777), device));
    }
    dress(member, dir, name);
    TRY(fchmodat(dir, name, member->mode, 0));
}

/* Docker gives the file what the link's header says; an honest one repeats what is there already. */
static void dress_link(const struct member *member, int dir, const char *name)
{
    struct stat found;
    TRY(fstatat(dir, name, &found, AT_SYMLINK_NOFOLLOW));
    if (our.owners && (found.st_uid != member->uid || found.st_gid != member->gid))
        TRY(fchownat(dir, name, (uid_t)member->uid, (gid_t)member->gid, AT_SYMLINK_NOFOLLOW));
    if (!S_ISLNK(found.st_mode) && (found.st_mode & 07777) != member->mode)
        TRY(fchmodat(dir, name, member->mode, 0));
}

static void make_hardlink(const struct member *member, const char *path, const char *parent, const char *name)
{
    char target[PATH_MAX], above[PATH_MAX];
    const char *last = split(clean(target, member->link), above);
    if (!strcmp(target, path))
        refuse(INVALID, member->name, "the hard link points at itself");
    int source = walk(above), dir = directory(parent), made = linkat(source, last, dir, name, 0);
    if (made < 0 && errno == EEXIST) {
        close(source); /* what is removed now may be what leads there */
        dir = cleared(parent, name);
        source = walk(above);
        made = linkat(source, last, dir, name, 0);
    }
    if (made < 0 && errno == ENOENT)
        refuse(INVALID, member->name, "the target of the hard link, %s, is not there", target);
    TRY(made);
    close(source);
    dress_link(member, dir, name);
}

/* --- whiteouts */

static char *join(const char *parent, const char *name)
{
    char *path = allocate(NULL, strlen(parent) + strlen(name) + 2);
    sprintf(path, "%s%s%s", parent, *parent ? "/" : "", name);
    return path;
}

static void empty_of_lower(const char *path);

/* In a plain tree: remove what lower layers put there, and keep what this layer made. */
static void remove_lower(int dir, const char *parent, const char *name)
{
    struct stat found;
    char *path = join(parent, name);
    if (!is_remembered(path)) {
        remove_tree(dir, name);
    } else {
        TRY(fstatat(dir, name, &found, AT_SYMLINK_NOFOLLOW));
        if (S_ISDIR(found.st_mode))
            empty_of_lower(path);
    }
    free(path);
}

static void empty_of_lower(const char *path)
{
    DIR *list = fdopendir(walk(path));
    if (!list)
        failed();
    for (struct dirent *found; (found = readdir(list));)
        if (strcmp(found->d_name, ".") && strcmp(found->d_name, ".."))
            remove_lower(dirfd(list), path, found->d_name);
    closedir(list);
}

static void opaque(const char *parent)
{
    if (it.overlay) {
        mark_opaque(directory(parent));
        tell('O', parent);
    } else {
        empty_of_lower(parent);
    }
}

/* An entry of this layer that stands there stays; a directory hides what lower layers have in theirs. */
static void mark_gone(int dir, const char *hidden)
{
    struct stat found;
    if (!mknodat(dir, hidden, S_IFCHR, 0))
        return;
    if (errno != EEXIST)
        failed();
    TRY(fstatat(dir, hidden, &found, AT_SYMLINK_NOFOLLOW));
    if (!S_ISDIR(found.st_mode))
        return;
    int fd = openat(dir, hidden, LIST);
    TRY(fd);
    mark_opaque(fd);
    close(fd);
}

static void whiteout(const char *parent, const char *name)
{
    const char *hidden = name + strlen(".wh.");
    if (!strcmp(name, ".wh..wh..opq")) {
        opaque(parent);
        return;
    }
    if (!*hidden || !strcmp(hidden, ".") || !strcmp(hidden, ".."))
        refuse(INVALID, it.name, "the whiteout names no file");
    if (!it.overlay) {
        int fd = walk(parent); /* our own: removing a directory forgets the handle that is kept */
        remove_lower(fd, parent, hidden);
        close(fd);
        return;
    }
    mark_gone(directory(parent), hidden);
    char *path = join(parent, hidden);
    tell('G', path);
    free(path);
}

/* --- the whole */

static void check_numbers(const struct member *member)
{
    if (member->uid > MOST_ID || member->gid > MOST_ID)
        refuse(INVALID, member->name, "its owner is out of bounds");
    if (member->major > MOST_MAJOR || member->minor > MOST_MINOR)
        refuse(INVALID, member->name, "its device number is out of bounds");
}

static void unpack(const struct member *member)
{
    char path[PATH_MAX], parent[PATH_MAX];
    const char *name = split(clean(path, member->name), parent);
    if (!strncmp(path, ".wh..wh.", 8) && strcmp(path, ".wh..wh..opq") != 0)
        return; /* aufs's own bookkeeping, in the root of old layers */
    if (*name && !strncmp(name, ".wh.", 4)) {
        whiteout(parent, name);
        return;
    }
    check_numbers(member);
    if (!*name && member->type != DIRECTORY)
        refuse(INVALID, member->name, "it replaces the layer's root by something that is no directory");
    switch (member->type) {
    case REGULAR: make_file(member, parent, name); break;
    case DIRECTORY:
        if (*name)
            make_directory(member, path, parent, name);
        else
            dress_directory(member, path, it.root, ".");
        break;
    case SYMLINK: make_symlink(member, parent, name); break;
    case HARDLINK: make_hardlink(member, path, parent, name); break;
    default: make_node(member, parent, name);
    }
    remember(path);
}

/* The engine asks the layers below about the whiteouts, and takes those away that hide nothing. */
static void pause_for_whiteouts(void)
{
    char go;
    tell('P', "");
    send_answer();
    if (read(our.answer, &go, 1) != 1)
        _exit(1);
}

static void set_late_times(void)
{
    for (size_t i = 0; i < our.late_count; i++) {
        it.name = our.late[i].path;
        int fd = open_below(*it.name ? it.name : ".", O_PATH | O_DIRECTORY | O_NOFOLLOW, RESOLVE_IN_ROOT);
        const struct timespec both[] = {our.late[i].modified, our.late[i].modified};
        if (fd < 0)
            continue; /* a later member replaced it */
        TRY(utimensat(fd, "", both, AT_EMPTY_PATH));
        close(fd);
    }
}

int untar_main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    it.overlay = strcmp(argv[1], "plain") != 0;
    it.opaque = strcmp(argv[1], "overlay-user") ? "trusted.overlay.opaque" : "user.overlay.opaque";
    our.owners = argv[2][0] == '1';
    it.root = atoi(argv[3]), our.answer = atoi(argv[4]);
    our.exact = true, our.uid = geteuid(), our.gid = getegid();
    if (!(our.out = open_memstream(&our.said, &our.said_size)))
        return 1;
    signal(SIGXFSZ, SIG_IGN); /* the limit on files is an error like a full disk */
    umask(0);
    for (struct member member; next_member(&member); it.name = NULL) {
        it.name = member.name;
        our.count++;
        unpack(&member);
    }
    drain();
    pause_for_whiteouts();
    set_late_times();
    fprintf(our.out, "S%llu%cN%lu%c", (unsigned long long)our.size, 0, our.count, 0);
    send_answer();
    return 0;
}
