/* Mounts: made detached, attached at handles, and the step into the container's root. */
#include "launch.h"
#include <sys/stat.h>

/* Why a filesystem refused: the kernel writes it into the context, for instance "e tmpfs: Bad value for 'size'". */
static int fs_failed(struct launch *l, int fs, const char *call)
{
    int failed = launch_failed(l, call);
    char log[MAX_TEXT];
    ssize_t size = read(fs, log, sizeof log - 1);
    log[size > 0 ? size : 0] = 0;
    launch_detail(l, size > 2 ? log + 2 : "");
    return failed;
}

int op_new_mount(struct launch *l, const char *kind, struct texts options, struct texts switches, int64_t attributes)
{
    AUTO_CLOSE fs = TRY(sys_fsopen(kind, FSOPEN_CLOEXEC));
    for (size_t i = 0; i + 1 < options.count; i += 2)
        if (sys_fsconfig(fs, FSCONFIG_SET_STRING, options.at[i], options.at[i + 1], 0) < 0)
            return fs_failed(l, fs, "fsconfig(");
    for (size_t i = 0; i < switches.count; i++)
        if (sys_fsconfig(fs, FSCONFIG_SET_FLAG, switches.at[i], NULL, 0) < 0)
            return fs_failed(l, fs, "fsconfig(");
    if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return fs_failed(l, fs, "fsconfig(");
    int mount = sys_fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)attributes);
    return mount < 0 ? fs_failed(l, fs, "fsmount(") : mount;
}

int op_chdir_to(struct launch *l, int dir)
{
    TRY(fchdir(dir));
    return 0;
}

int op_mount(struct launch *l, const char *source, const char *target, const char *kind, int64_t flags, const char *data)
{
    TRY(sys_mount(source, target, *kind ? kind : NULL, (unsigned long)flags, *data ? data : NULL));
    return 0;
}

int op_open_tree(struct launch *l, int dir, const char *path, int64_t recursive)
{
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0) | (*path ? 0 : AT_EMPTY_PATH);
    if (*path && l->root >= 0)
        return -EPERM;
    return TRY(sys_open_tree(dir, path, flags));
}

static int set_attributes(struct launch *l, int mount, struct mount_attr attr, bool recursive)
{
    TRY(sys_mount_setattr(mount, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr));
    return 0;
}

int op_mount_setattr(struct launch *l, int mount, int64_t set, int64_t clear, int64_t propagation, int userns, int64_t recursive)
{
    struct mount_attr attr = {
        .attr_set = (uint64_t)set | (userns == NO_FD ? 0 : MOUNT_ATTR_IDMAP),
        .attr_clr = (uint64_t)clear,
        .propagation = (uint64_t)propagation,
        .userns_fd = userns == NO_FD ? 0 : (uint64_t)userns,
    };
    return set_attributes(l, mount, attr, recursive);
}

int op_attach(struct launch *l, int mount, int target)
{
    TRY(sys_move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
    return 0;
}

/* What hides a path: a clone of the null device over a file, an empty read-only tmpfs over a directory. */
static int hiding_mount(struct launch *l, int target, int null)
{
    struct stat st;
    TRY(fstat(target, &st));
    if (!S_ISDIR(st.st_mode))
        return TRY(sys_open_tree(null, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH));
    char *size_one_page[] = {"size", "4k", "mode", "755", NULL}, *read_only[] = {"ro", NULL};
    const int64_t attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    return op_new_mount(l, "tmpfs", (struct texts){size_one_page, 4}, (struct texts){read_only, 1}, attributes);
}

int op_mask_in(struct launch *l, int dir, const char *path, int null, int64_t strict)
{
    AUTO_CLOSE target = resolve_in(l, dir, path, O_PATH, strict);
    if (target == -ENOENT)
        return 0;
    AUTO_CLOSE mount = PASS(target < 0 ? target : hiding_mount(l, target, null));
    return op_attach(l, mount, target);
}

int op_readonly_in(struct launch *l, int dir, const char *path, int64_t strict)
{
    AUTO_CLOSE target = resolve_in(l, dir, path, O_PATH, strict);
    if (target == -ENOENT)
        return 0;
    PASS(target);
    AUTO_CLOSE mount = TRY(sys_open_tree(target, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE));
    PASS(set_attributes(l, mount, (struct mount_attr){.attr_set = MOUNT_ATTR_RDONLY}, false));
    return op_attach(l, mount, target);
}

int op_pivot(struct launch *l, int root)
{
    AUTO_CLOSE old = TRY(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    TRY(fchdir(root));
    /* Both names may be the same directory: the old root is then stacked on the new one and can be taken off again. */
    TRY(sys_pivot_root(".", "."));
    TRY(fchdir(old));
    /* Nothing that is unmounted here may reach the host. */
    TRY(sys_mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL));
    TRY(sys_umount2(".", 2 /* MNT_DETACH */));
    TRY(chdir("/"));
    return 0;
}

int op_chroot(struct launch *l, int root)
{
    TRY(fchdir(root));
    TRY(chroot("."));
    TRY(chdir("/"));
    return 0;
}

int op_move_root(struct launch *l, int root)
{
    TRY(sys_move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH));
    return op_chroot(l, root);
}
