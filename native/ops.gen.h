/* Generated from native/ops.toml by native/generate.py; do not edit. */
#ifndef OPS_GEN_H
#define OPS_GEN_H

#define PLAN_TABLE_HASH 0x92c0fe7e1658b1f1ull
#define PLAN_MAX_ARGS 8

enum {
    OP_OPEN,
    OP_OPEN_NS,
    OP_OPEN_PIDFD,
    OP_NS_HANDLE,
    OP_NETLINK_SOCKET,
    OP_INET_SOCKET,
    OP_MAKE_USERNS,
    OP_CLOSE,
    OP_ASSERT_DEV,
    OP_ASSERT_FS,
    OP_ASSERT_TYPE,
    OP_MKDIR,
    OP_MAKE_CGROUP,
    OP_OPEN_CGROUP,
    OP_WRITE_AT,
    OP_CHOWN_AT,
    OP_ATTACH_CGROUP,
    OP_ATTACH_DEVICES,
    OP_CLONE,
    OP_SETNS,
    OP_UNSHARE,
    OP_ENTER_TIME,
    OP_WRITE_CHILD,
    OP_SETHOSTNAME,
    OP_SETDOMAINNAME,
    OP_LO_UP,
    OP_CHDIR_TO,
    OP_MOUNT,
    OP_NEW_MOUNT,
    OP_OPEN_TREE,
    OP_MOUNT_SETATTR,
    OP_ATTACH,
    OP_ROOT,
    OP_OPEN_IN,
    OP_MKDIR_IN,
    OP_CREATE_IN,
    OP_MOUNTPOINT_IN,
    OP_SYMLINK_IN,
    OP_MKNOD_IN,
    OP_MASK_IN,
    OP_READONLY_IN,
    OP_COPY_UP,
    OP_PIVOT,
    OP_MOVE_ROOT,
    OP_CHROOT,
    OP_WRITE_PROC,
    OP_PTY_PEER,
    OP_WINDOW_SIZE,
    OP_SETSID,
    OP_SET_CTTY,
    OP_DUP,
    OP_CHOWN,
    OP_SEND_FD,
    OP_CLOSE_FROM,
    OP_REPORT,
    OP_CHECKPOINT,
    OP_AWAIT_START,
    OP_DUMPABLE,
    OP_RLIMIT,
    OP_SCHEDULER,
    OP_IOPRIO,
    OP_AFFINITY,
    OP_MEMPOLICY,
    OP_PERSONALITY,
    OP_KEYRING,
    OP_UMASK,
    OP_GROUPS,
    OP_USER,
    OP_BOUNDING,
    OP_KEEP_CAPS,
    OP_CAPSET,
    OP_AMBIENT,
    OP_NO_NEW_PRIVS,
    OP_CHDIR,
    OP_FIND_HOME,
    OP_FIND_PROGRAM,
    OP_SECCOMP,
    OP_EXEC,
    OP_WRITE_STATE,
    OP_START_UNIT,
    OP_MAP_USERS,
    OP_CONNECT_NETWORK,
    OP_MOVE_NETDEV,
    OP_SEND_LISTENER,
    OP_HOOK,
    OP_COUNT
};

/* For the decoder: who may run it, whether it makes a descriptor, the wire letters of its arguments. */
static const struct op_info {
    const char *name;
    unsigned char actors, slot;
    char args[PLAN_MAX_ARGS + 1];
} op_table[OP_COUNT] = {
    [OP_OPEN] = {"open", 5, 2, "ti"},
    [OP_OPEN_NS] = {"open-ns", 1, 2, "ti"},
    [OP_OPEN_PIDFD] = {"open-pidfd", 1, 2, "ii"},
    [OP_NS_HANDLE] = {"ns-handle", 6, 2, "t"},
    [OP_NETLINK_SOCKET] = {"netlink-socket", 5, 2, "i"},
    [OP_INET_SOCKET] = {"inet-socket", 4, 2, "i"},
    [OP_MAKE_USERNS] = {"make-userns", 1, 2, "tt"},
    [OP_CLOSE] = {"close", 7, 0, "s"},
    [OP_ASSERT_DEV] = {"assert-dev", 5, 0, "sii"},
    [OP_ASSERT_FS] = {"assert-fs", 5, 0, "si"},
    [OP_ASSERT_TYPE] = {"assert-type", 5, 0, "si"},
    [OP_MKDIR] = {"mkdir", 1, 0, "ti"},
    [OP_MAKE_CGROUP] = {"make-cgroup", 3, 2, "ttTt"},
    [OP_OPEN_CGROUP] = {"open-cgroup", 1, 2, "tti"},
    [OP_WRITE_AT] = {"write-at", 3, 0, "stb"},
    [OP_CHOWN_AT] = {"chown-at", 3, 0, "stii"},
    [OP_ATTACH_CGROUP] = {"attach-cgroup", 7, 0, "st"},
    [OP_ATTACH_DEVICES] = {"attach-devices", 3, 0, "sb"},
    [OP_CLONE] = {"clone", 1, 2, "io"},
    [OP_SETNS] = {"setns", 5, 0, "si"},
    [OP_UNSHARE] = {"unshare", 5, 0, "i"},
    [OP_ENTER_TIME] = {"enter-time", 4, 0, "s"},
    [OP_WRITE_CHILD] = {"write-child", 2, 0, "tb"},
    [OP_SETHOSTNAME] = {"sethostname", 4, 0, "t"},
    [OP_SETDOMAINNAME] = {"setdomainname", 4, 0, "t"},
    [OP_LO_UP] = {"lo-up", 4, 0, ""},
    [OP_CHDIR_TO] = {"chdir-to", 1, 0, "s"},
    [OP_MOUNT] = {"mount", 1, 0, "tttit"},
    [OP_NEW_MOUNT] = {"new-mount", 5, 2, "tTTi"},
    [OP_OPEN_TREE] = {"open-tree", 5, 2, "oti"},
    [OP_MOUNT_SETATTR] = {"mount-setattr", 7, 0, "siiioi"},
    [OP_ATTACH] = {"attach", 4, 0, "ss"},
    [OP_ROOT] = {"root", 4, 0, "s"},
    [OP_OPEN_IN] = {"open-in", 4, 2, "stii"},
    [OP_MKDIR_IN] = {"mkdir-in", 4, 1, "sti"},
    [OP_CREATE_IN] = {"create-in", 4, 1, "sti"},
    [OP_MOUNTPOINT_IN] = {"mountpoint-in", 4, 2, "stoi"},
    [OP_SYMLINK_IN] = {"symlink-in", 4, 0, "stt"},
    [OP_MKNOD_IN] = {"mknod-in", 4, 0, "stiiiii"},
    [OP_MASK_IN] = {"mask-in", 4, 0, "stsi"},
    [OP_READONLY_IN] = {"readonly-in", 4, 0, "sti"},
    [OP_COPY_UP] = {"copy-up", 4, 0, "ss"},
    [OP_PIVOT] = {"pivot", 4, 0, "s"},
    [OP_MOVE_ROOT] = {"move-root", 4, 0, "s"},
    [OP_CHROOT] = {"chroot", 4, 0, "s"},
    [OP_WRITE_PROC] = {"write-proc", 4, 0, "stb"},
    [OP_PTY_PEER] = {"pty-peer", 4, 2, "s"},
    [OP_WINDOW_SIZE] = {"window-size", 4, 0, "sii"},
    [OP_SETSID] = {"setsid", 4, 0, ""},
    [OP_SET_CTTY] = {"set-ctty", 4, 0, "s"},
    [OP_DUP] = {"dup", 4, 0, "si"},
    [OP_CHOWN] = {"chown", 4, 0, "sii"},
    [OP_SEND_FD] = {"send-fd", 6, 0, "sst"},
    [OP_CLOSE_FROM] = {"close-from", 4, 0, "i"},
    [OP_REPORT] = {"report", 2, 0, "so"},
    [OP_CHECKPOINT] = {"checkpoint", 6, 0, "tS"},
    [OP_AWAIT_START] = {"await-start", 4, 0, "o"},
    [OP_DUMPABLE] = {"dumpable", 5, 0, "i"},
    [OP_RLIMIT] = {"rlimit", 6, 0, "iii"},
    [OP_SCHEDULER] = {"scheduler", 6, 0, "iiiiiii"},
    [OP_IOPRIO] = {"ioprio", 6, 0, "i"},
    [OP_AFFINITY] = {"affinity", 7, 0, "b"},
    [OP_MEMPOLICY] = {"mempolicy", 4, 0, "ib"},
    [OP_PERSONALITY] = {"personality", 4, 0, "i"},
    [OP_KEYRING] = {"keyring", 4, 0, "t"},
    [OP_UMASK] = {"umask", 4, 0, "i"},
    [OP_GROUPS] = {"groups", 4, 0, "d"},
    [OP_USER] = {"user", 4, 0, "ii"},
    [OP_BOUNDING] = {"bounding", 4, 0, "i"},
    [OP_KEEP_CAPS] = {"keep-caps", 4, 0, "i"},
    [OP_CAPSET] = {"capset", 4, 0, "iii"},
    [OP_AMBIENT] = {"ambient", 4, 0, "i"},
    [OP_NO_NEW_PRIVS] = {"no-new-privs", 4, 0, ""},
    [OP_CHDIR] = {"chdir", 4, 0, "t"},
    [OP_FIND_HOME] = {"find-home", 4, 0, "i"},
    [OP_FIND_PROGRAM] = {"find-program", 4, 0, "tT"},
    [OP_SECCOMP] = {"seccomp", 4, 1, "bi"},
    [OP_EXEC] = {"exec", 4, 0, "TT"},
    [OP_WRITE_STATE] = {"write-state", 8, 0, "t"},
    [OP_START_UNIT] = {"start-unit", 8, 0, "tt"},
    [OP_MAP_USERS] = {"map-users", 8, 0, "tt"},
    [OP_CONNECT_NETWORK] = {"connect-network", 8, 0, ""},
    [OP_MOVE_NETDEV] = {"move-netdev", 8, 0, "tt"},
    [OP_SEND_LISTENER] = {"send-listener", 8, 0, "tt"},
    [OP_HOOK] = {"hook", 8, 0, "ttTTi"},
};

int op_open(struct launch *l, const char *path, int64_t flags);
int op_open_ns(struct launch *l, const char *path, int64_t kind);
int op_open_pidfd(struct launch *l, int64_t pid, int64_t start);
int op_ns_handle(struct launch *l, const char *kind);
int op_netlink_socket(struct launch *l, int64_t protocol);
int op_inet_socket(struct launch *l, int64_t kind);
int op_make_userns(struct launch *l, const char *uid_map, const char *gid_map);
int op_close(struct launch *l, int fd);
int op_assert_dev(struct launch *l, int fd, int64_t major, int64_t minor);
int op_assert_fs(struct launch *l, int fd, int64_t magic);
int op_assert_type(struct launch *l, int fd, int64_t kind);
int op_mkdir(struct launch *l, const char *path, int64_t mode);
int op_make_cgroup(struct launch *l, const char *base, const char *path, struct texts copy, const char *enable);
int op_open_cgroup(struct launch *l, const char *base, const char *path, int64_t pid);
int op_write_at(struct launch *l, int dir, const char *name, struct bytes data);
int op_chown_at(struct launch *l, int dir, const char *name, int64_t uid, int64_t gid);
int op_attach_cgroup(struct launch *l, int dir, const char *file);
int op_attach_devices(struct launch *l, int cgroup, struct bytes program);
int op_clone(struct launch *l, int64_t flags, int cgroup);
int op_setns(struct launch *l, int ns, int64_t kinds);
int op_unshare(struct launch *l, int64_t kinds);
int op_enter_time(struct launch *l, int proc);
int op_write_child(struct launch *l, const char *file, struct bytes data);
int op_sethostname(struct launch *l, const char *name);
int op_setdomainname(struct launch *l, const char *name);
int op_lo_up(struct launch *l);
int op_chdir_to(struct launch *l, int dir);
int op_mount(struct launch *l, const char *source, const char *target, const char *kind, int64_t flags, const char *data);
int op_new_mount(struct launch *l, const char *kind, struct texts options, struct texts switches, int64_t attributes);
int op_open_tree(struct launch *l, int dir, const char *path, int64_t recursive);
int op_mount_setattr(struct launch *l, int mount, int64_t set, int64_t clear, int64_t propagation, int userns, int64_t recursive);
int op_attach(struct launch *l, int mount, int target);
int op_root(struct launch *l, int dir);
int op_open_in(struct launch *l, int dir, const char *path, int64_t flags, int64_t strict);
int op_mkdir_in(struct launch *l, int dir, const char *path, int64_t mode);
int op_create_in(struct launch *l, int dir, const char *path, int64_t mode);
int op_mountpoint_in(struct launch *l, int dir, const char *path, int like, int64_t strict);
int op_symlink_in(struct launch *l, int dir, const char *target, const char *path);
int op_mknod_in(struct launch *l, int dir, const char *path, int64_t mode, int64_t major, int64_t minor, int64_t uid, int64_t gid);
int op_mask_in(struct launch *l, int dir, const char *path, int null, int64_t strict);
int op_readonly_in(struct launch *l, int dir, const char *path, int64_t strict);
int op_copy_up(struct launch *l, int source, int target);
int op_pivot(struct launch *l, int root);
int op_move_root(struct launch *l, int root);
int op_chroot(struct launch *l, int root);
int op_write_proc(struct launch *l, int proc, const char *path, struct bytes data);
int op_pty_peer(struct launch *l, int master);
int op_window_size(struct launch *l, int terminal, int64_t rows, int64_t columns);
int op_setsid(struct launch *l);
int op_set_ctty(struct launch *l, int terminal);
int op_dup(struct launch *l, int fd, int64_t number);
int op_chown(struct launch *l, int fd, int64_t uid, int64_t gid);
int op_send_fd(struct launch *l, int socket, int fd, const char *text);
int op_close_from(struct launch *l, int64_t first);
int op_report(struct launch *l, int pidfd, int file);
int op_checkpoint(struct launch *l, const char *name, struct slots fds);
int op_await_start(struct launch *l, int listener);
int op_dumpable(struct launch *l, int64_t value);
int op_rlimit(struct launch *l, int64_t resource, int64_t soft, int64_t hard);
int op_scheduler(struct launch *l, int64_t policy, int64_t flags, int64_t nice, int64_t priority, int64_t runtime, int64_t deadline, int64_t period);
int op_ioprio(struct launch *l, int64_t value);
int op_affinity(struct launch *l, struct bytes mask);
int op_mempolicy(struct launch *l, int64_t mode, struct bytes nodes);
int op_personality(struct launch *l, int64_t value);
int op_keyring(struct launch *l, const char *id);
int op_umask(struct launch *l, int64_t mask);
int op_groups(struct launch *l, struct bytes gids);
int op_user(struct launch *l, int64_t uid, int64_t gid);
int op_bounding(struct launch *l, int64_t keep);
int op_keep_caps(struct launch *l, int64_t value);
int op_capset(struct launch *l, int64_t effective, int64_t permitted, int64_t inheritable);
int op_ambient(struct launch *l, int64_t keep);
int op_no_new_privs(struct launch *l);
int op_chdir(struct launch *l, const char *path);
int op_find_home(struct launch *l, int64_t uid);
int op_find_program(struct launch *l, const char *name, struct texts directories);
int op_seccomp(struct launch *l, struct bytes filter, int64_t flags);
int op_exec(struct launch *l, struct texts argv, struct texts env);

static inline int dispatch(struct launch *l, const struct row *r)
{
    switch (r->op) {
    case OP_OPEN:
        return op_open(l, text_at(l, r->arg[0]), (int64_t)r->arg[1]);
    case OP_OPEN_NS:
        return op_open_ns(l, text_at(l, r->arg[0]), (int64_t)r->arg[1]);
    case OP_OPEN_PIDFD:
        return op_open_pidfd(l, (int64_t)r->arg[0], (int64_t)r->arg[1]);
    case OP_NS_HANDLE:
        return op_ns_handle(l, text_at(l, r->arg[0]));
    case OP_NETLINK_SOCKET:
        return op_netlink_socket(l, (int64_t)r->arg[0]);
    case OP_INET_SOCKET:
        return op_inet_socket(l, (int64_t)r->arg[0]);
    case OP_MAKE_USERNS:
        return op_make_userns(l, text_at(l, r->arg[0]), text_at(l, r->arg[1]));
    case OP_CLOSE:
        return op_close(l, fd_of(l, r->arg[0]));
    case OP_ASSERT_DEV:
        return op_assert_dev(l, fd_of(l, r->arg[0]), (int64_t)r->arg[1], (int64_t)r->arg[2]);
    case OP_ASSERT_FS:
        return op_assert_fs(l, fd_of(l, r->arg[0]), (int64_t)r->arg[1]);
    case OP_ASSERT_TYPE:
        return op_assert_type(l, fd_of(l, r->arg[0]), (int64_t)r->arg[1]);
    case OP_MKDIR:
        return op_mkdir(l, text_at(l, r->arg[0]), (int64_t)r->arg[1]);
    case OP_MAKE_CGROUP:
        return op_make_cgroup(l, text_at(l, r->arg[0]), text_at(l, r->arg[1]), texts_at(l, r->arg[2]), text_at(l, r->arg[3]));
    case OP_OPEN_CGROUP:
        return op_open_cgroup(l, text_at(l, r->arg[0]), text_at(l, r->arg[1]), (int64_t)r->arg[2]);
    case OP_WRITE_AT:
        return op_write_at(l, fd_of(l, r->arg[0]), text_at(l, r->arg[1]), bytes_at(l, r->arg[2], 1));
    case OP_CHOWN_AT:
        return op_chown_at(l, fd_of(l, r->arg[0]), text_at(l, r->arg[1]), (int64_t)r->arg[2], (int64_t)r->arg[3]);
    case OP_ATTACH_CGROUP:
        return op_attach_cgroup(l, fd_of(l, r->arg[0]), text_at(l, r->arg[1]));
    case OP_ATTACH_DEVICES:
        return op_attach_devices(l, fd_of(l, r->arg[0]), bytes_at(l, r->arg[1], 1));
    case OP_CLONE:
        return op_clone(l, (int64_t)r->arg[0], fd_of(l, r->arg[1]));
    case OP_SETNS:
        return op_setns(l, fd_of(l, r->arg[0]), (int64_t)r->arg[1]);
    case OP_UNSHARE:
        return op_unshare(l, (int64_t)r->arg[0]);
    case OP_ENTER_TIME:
        return op_enter_time(l, fd_of(l, r->arg[0]));
    case OP_WRITE_CHILD:
        return op_write_child(l, text_at(l, r->arg[0]), bytes_at(l, r->arg[1], 1));
    case OP_SETHOSTNAME:
        return op_sethostname(l, text_at(l, r->arg[0]));
    case OP_SETDOMAINNAME:
        return op_setdomainname(l, text_at(l, r->arg[0]));
    case OP_LO_UP:
        return op_lo_up(l);
    case OP_CHDIR_TO:
        return op_chdir_to(l, fd_of(l, r->arg[0]));
    case OP_MOUNT:
        return op_mount(l, text_at(l, r->arg[0]), text_at(l, r->arg[1]), text_at(l, r->arg[2]), (int64_t)r->arg[3], text_at(l, r->arg[4]));
    case OP_NEW_MOUNT:
        return op_new_mount(l, text_at(l, r->arg[0]), texts_at(l, r->arg[1]), texts_at(l, r->arg[2]), (int64_t)r->arg[3]);
    case OP_OPEN_TREE:
        return op_open_tree(l, fd_of(l, r->arg[0]), text_at(l, r->arg[1]), (int64_t)r->arg[2]);
    case OP_MOUNT_SETATTR:
        return op_mount_setattr(l, fd_of(l, r->arg[0]), (int64_t)r->arg[1], (int64_t)r->arg[2], (int64_t)r->arg[3], fd_of(l, r->arg[4]), (int64_t)r->arg[5]);
    case OP_ATTACH:
        return op_attach(l, fd_of(l, r->arg[0]), fd_of(l, r->arg[1]));
    case OP_ROOT:
        return op_root(l, fd_of(l, r->arg[0]));
    case OP_OPEN_IN:
        return op_open_in(l, fd_of(l, r->arg[0]), text_at(l, r->arg[1]), (int64_t)r->arg[2], (int64_t)r->arg[3]);
    case OP_MKDIR_IN:
        return op_mkdir_in(l, fd_of(l, r->arg[0]), text_at(l, r->arg[1]), (int64_t)r->arg[2]);
    case OP_CREATE_IN:
        return op_create_in(l, fd_of(l, r->arg[0]), text_at(l, r->arg[1]), (int64_t)r->arg[2]);
    case OP_MOUNTPOINT_IN:
        return op_mountpoint_in(l, fd_of(l, r->arg[0]), text_at(l, r->arg[1]), fd_of(l, r->arg[2]), (int64_t)r->arg[3]);
    case OP_SYMLINK_IN:
        return op_symlink_in(l, fd_of(l, r->arg[0]), text_at(l, r->arg[1]), text_at(l, r->arg[2]));
    case OP_MKNOD_IN:
        return op_mknod_in(l, fd_of(l, r->arg[0]), text_at(l, r->arg[1]), (int64_t)r->arg[2], (int64_t)r->arg[3], (int64_t)r->arg[4], (int64_t)r->arg[5], (int64_t)r->arg[6]);
    case OP_MASK_IN:
        return op_mask_in(l, fd_of(l, r->arg[0]), text_at(l, r->arg[1]), fd_of(l, r->arg[2]), (int64_t)r->arg[3]);
    case OP_READONLY_IN:
        return op_readonly_in(l, fd_of(l, r->arg[0]), text_at(l, r->arg[1]), (int64_t)r->arg[2]);
    case OP_COPY_UP:
        return op_copy_up(l, fd_of(l, r->arg[0]), fd_of(l, r->arg[1]));
    case OP_PIVOT:
        return op_pivot(l, fd_of(l, r->arg[0]));
    case OP_MOVE_ROOT:
        return op_move_root(l, fd_of(l, r->arg[0]));
    case OP_CHROOT:
        return op_chroot(l, fd_of(l, r->arg[0]));
    case OP_WRITE_PROC:
        return op_write_proc(l, fd_of(l, r->arg[0]), text_at(l, r->arg[1]), bytes_at(l, r->arg[2], 1));
    case OP_PTY_PEER:
        return op_pty_peer(l, fd_of(l, r->arg[0]));
    case OP_WINDOW_SIZE:
        return op_window_size(l, fd_of(l, r->arg[0]), (int64_t)r->arg[1], (int64_t)r->arg[2]);
    case OP_SETSID:
        return op_setsid(l);
    case OP_SET_CTTY:
        return op_set_ctty(l, fd_of(l, r->arg[0]));
    case OP_DUP:
        return op_dup(l, fd_of(l, r->arg[0]), (int64_t)r->arg[1]);
    case OP_CHOWN:
        return op_chown(l, fd_of(l, r->arg[0]), (int64_t)r->arg[1], (int64_t)r->arg[2]);
    case OP_SEND_FD:
        return op_send_fd(l, fd_of(l, r->arg[0]), fd_of(l, r->arg[1]), text_at(l, r->arg[2]));
    case OP_CLOSE_FROM:
        return op_close_from(l, (int64_t)r->arg[0]);
    case OP_REPORT:
        return op_report(l, fd_of(l, r->arg[0]), fd_of(l, r->arg[1]));
    case OP_CHECKPOINT:
        return op_checkpoint(l, text_at(l, r->arg[0]), slots_at(l, r->arg[1]));
    case OP_AWAIT_START:
        return op_await_start(l, fd_of(l, r->arg[0]));
    case OP_DUMPABLE:
        return op_dumpable(l, (int64_t)r->arg[0]);
    case OP_RLIMIT:
        return op_rlimit(l, (int64_t)r->arg[0], (int64_t)r->arg[1], (int64_t)r->arg[2]);
    case OP_SCHEDULER:
        return op_scheduler(l, (int64_t)r->arg[0], (int64_t)r->arg[1], (int64_t)r->arg[2], (int64_t)r->arg[3], (int64_t)r->arg[4], (int64_t)r->arg[5], (int64_t)r->arg[6]);
    case OP_IOPRIO:
        return op_ioprio(l, (int64_t)r->arg[0]);
    case OP_AFFINITY:
        return op_affinity(l, bytes_at(l, r->arg[0], 1));
    case OP_MEMPOLICY:
        return op_mempolicy(l, (int64_t)r->arg[0], bytes_at(l, r->arg[1], 1));
    case OP_PERSONALITY:
        return op_personality(l, (int64_t)r->arg[0]);
    case OP_KEYRING:
        return op_keyring(l, text_at(l, r->arg[0]));
    case OP_UMASK:
        return op_umask(l, (int64_t)r->arg[0]);
    case OP_GROUPS:
        return op_groups(l, bytes_at(l, r->arg[0], 4));
    case OP_USER:
        return op_user(l, (int64_t)r->arg[0], (int64_t)r->arg[1]);
    case OP_BOUNDING:
        return op_bounding(l, (int64_t)r->arg[0]);
    case OP_KEEP_CAPS:
        return op_keep_caps(l, (int64_t)r->arg[0]);
    case OP_CAPSET:
        return op_capset(l, (int64_t)r->arg[0], (int64_t)r->arg[1], (int64_t)r->arg[2]);
    case OP_AMBIENT:
        return op_ambient(l, (int64_t)r->arg[0]);
    case OP_NO_NEW_PRIVS:
        return op_no_new_privs(l);
    case OP_CHDIR:
        return op_chdir(l, text_at(l, r->arg[0]));
    case OP_FIND_HOME:
        return op_find_home(l, (int64_t)r->arg[0]);
    case OP_FIND_PROGRAM:
        return op_find_program(l, text_at(l, r->arg[0]), texts_at(l, r->arg[1]));
    case OP_SECCOMP:
        return op_seccomp(l, bytes_at(l, r->arg[0], 1), (int64_t)r->arg[1]);
    case OP_EXEC:
        return op_exec(l, texts_at(l, r->arg[0]), texts_at(l, r->arg[1]));
    }
    return -ENOSYS;
}

#endif
