/* Rows that touch the host: handles, namespaces, cgroups, the child's /proc files. */
#include "launch.h"
#include <linux/bpf.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

/* Plans carry x86_64's numbers for the two flags that differ between architectures. */
static int open_flags(int64_t flags)
{
    const int64_t directory = 0200000, nofollow = 0400000;
    int native = (int)(flags & ~(directory | nofollow));
    return native | (flags & directory ? O_DIRECTORY : 0) | (flags & nofollow ? O_NOFOLLOW : 0) | O_CLOEXEC;
}

int op_open(struct launch *l, const char *path, int64_t flags)
{
    if (l->root >= 0)
        return -EPERM;
    return TRY(open(path, open_flags(flags)));
}

int op_open_ns(struct launch *l, const char *path, int64_t kind)
{
    AUTO_CLOSE fd = TRY(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    int found = TRY(ioctl(fd, NS_GET_NSTYPE));
    if (found != kind) {
        launch_detail(l, "it is a namespace of another type");
        return -EINVAL;
    }
    return keep_fd(&fd);
}

/* Field 22 of /proc/PID/stat, counted from the end of the command's name, which may itself hold anything. */
static int64_t start_time(const char *stat)
{
    const char *at = strrchr(stat, ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoll(at, NULL, 10) : -1;
}

int op_open_pidfd(struct launch *l, int64_t pid, int64_t start)
{
    char path[32], stat[1024];
    AUTO_CLOSE pidfd = TRY(sys_pidfd_open((pid_t)pid, 0));
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    AUTO_CLOSE file = TRY(open(path, O_RDONLY | O_CLOEXEC));
    ssize_t size = TRY(read(file, stat, sizeof stat - 1));
    stat[size] = 0;
    if (start_time(stat) != start)
        return -ESRCH;
    return keep_fd(&pidfd);
}

int op_ns_handle(struct launch *l, const char *kind)
{
    char path[64];
    if (l->me == PARENT)
        snprintf(path, sizeof path, "/proc/%d/ns/%s", l->child, kind);
    else
        snprintf(path, sizeof path, "/proc/thread-self/ns/%s", kind);
    return TRY(open(path, O_RDONLY | O_CLOEXEC));
}

int op_netlink_socket(struct launch *l, int64_t protocol)
{
    return TRY(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, (int)protocol));
}

int op_inet_socket(struct launch *l, int64_t kind)
{
    (void)l;
    return TRY(socket(AF_INET, (int)kind | SOCK_CLOEXEC, 0));
}

int op_close(struct launch *l, int fd)
{
    for (uint32_t i = 0; i < l->plan->slots; i++)
        if (l->fd[i] == fd)
            l->fd[i] = -1;
    TRY(close(fd));
    return 0;
}

int op_assert_dev(struct launch *l, int fd, int64_t major_number, int64_t minor_number)
{
    struct stat st;
    TRY(fstat(fd, &st));
    return S_ISCHR(st.st_mode) && st.st_rdev == makedev((unsigned)major_number, (unsigned)minor_number) ? 0 : -ENXIO;
}

int op_assert_fs(struct launch *l, int fd, int64_t magic)
{
    struct statfs fs;
    TRY(fstatfs(fd, &fs));
    return (int64_t)fs.f_type == magic ? 0 : -EMEDIUMTYPE;
}

int op_assert_type(struct launch *l, int fd, int64_t kind)
{
    struct stat st;
    TRY(fstat(fd, &st));
    if ((st.st_mode & S_IFMT) == kind)
        return 0;
    return kind == S_IFDIR ? -ENOTDIR : -EINVAL;
}

int op_mkdir(struct launch *l, const char *path, int64_t mode)
{
    TRY(mkdir(path, (mode_t)mode));
    return 0;
}

/* One open, one write: a control file takes its value whole or not at all. */
int write_file(struct launch *l, int dir, const char *name, const void *data, size_t size)
{
    AUTO_CLOSE fd = TRY(openat(dir, name, O_WRONLY | O_CLOEXEC));
    ssize_t written = TRY(write(fd, data, size));
    return written == (ssize_t)size ? 0 : -EIO;
}

int op_write_at(struct launch *l, int dir, const char *name, struct bytes data)
{
    return write_file(l, dir, name, data.at, data.size);
}

int op_chown_at(struct launch *l, int dir, const char *name, int64_t uid, int64_t gid)
{
    TRY(fchownat(dir, name, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH)));
    return 0;
}

int op_attach_cgroup(struct launch *l, int dir, const char *file)
{
    char pid[16];
    int length = snprintf(pid, sizeof pid, "%d", l->child);
    return write_file(l, dir, file, pid, (size_t)length);
}

int op_attach_devices(struct launch *l, int cgroup, struct bytes program)
{
    union bpf_attr load = {
        .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
        .insns = (uint64_t)(uintptr_t)program.at,
        .insn_cnt = (uint32_t)(program.size / sizeof(struct bpf_insn)),
        .license = (uint64_t)(uintptr_t) "Apache-2.0",
    };
    AUTO_CLOSE fd = TRY(CALL(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load));
    union bpf_attr attach = {
        .target_fd = (uint32_t)cgroup,
        .attach_bpf_fd = (uint32_t)fd,
        .attach_type = BPF_CGROUP_DEVICE,
        .attach_flags = BPF_F_ALLOW_MULTI,
    };
    TRY(CALL(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach));
    return 0;
}

int op_setns(struct launch *l, int ns, int64_t kinds)
{
    TRY(setns(ns, (int)kinds));
    return 0;
}

int op_unshare(struct launch *l, int64_t kinds)
{
    TRY(unshare((int)kinds));
    return 0;
}

int op_enter_time(struct launch *l, int proc)
{
    AUTO_CLOSE ns = TRY(openat(proc, "thread-self/ns/time_for_children", O_RDONLY | O_CLOEXEC));
    TRY(setns(ns, 0x80 /* CLONE_NEWTIME */));
    return 0;
}

int op_write_child(struct launch *l, const char *file, struct bytes data)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", l->child, file);
    return write_file(l, AT_FDCWD, path, data.at, data.size);
}

static int write_maps(struct launch *l, pid_t pid, const char *uid_map, const char *gid_map)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
    PASS(write_file(l, AT_FDCWD, path, uid_map, strlen(uid_map)));
    snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
    PASS(write_file(l, AT_FDCWD, path, gid_map, strlen(gid_map)));
    snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
    return TRY(open(path, O_RDONLY | O_CLOEXEC));
}

int op_make_userns(struct launch *l, const char *uid_map, const char *gid_map)
{
    /* A user namespace exists while a process or a descriptor is in it: the process lives until the descriptor is open. */
    uint64_t args[8] = {[0] = 0x10000000 /* CLONE_NEWUSER */, [4] = SIGCHLD};
    pid_t self = getpid(), pid = TRY(sys_clone3(args, sizeof args));
    if (pid == 0) { /* and no longer than we do */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != self)
            _exit(1);
        for (;;)
            pause();
    }
    int fd = write_maps(l, pid, uid_map, gid_map);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return fd;
}

int op_sethostname(struct launch *l, const char *name)
{
    TRY(sethostname(name, strlen(name)));
    return 0;
}

int op_setdomainname(struct launch *l, const char *name)
{
    TRY(setdomainname(name, strlen(name)));
    return 0;
}

int op_lo_up(struct launch *l)
{
    AUTO_CLOSE fd = TRY(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    TRY(ioctl(fd, SIOCSIFFLAGS, &request));
    return 0;
}
