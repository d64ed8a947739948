/* The process itself: terminal, limits, identity, privileges, filter, program. */
#include "launch.h"
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

int op_pty_peer(struct launch *l, int master)
{
    int locked = 0;
    TRY(ioctl(master, TIOCSPTLCK, &locked));
    return TRY(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
}

int op_window_size(struct launch *l, int terminal, int64_t rows, int64_t columns)
{
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    TRY(ioctl(terminal, TIOCSWINSZ, &size));
    return 0;
}

int op_setsid(struct launch *l)
{
    TRY(setsid());
    return 0;
}

int op_set_ctty(struct launch *l, int terminal)
{
    TRY(ioctl(terminal, TIOCSCTTY, 0));
    return 0;
}

/* Move a descriptor of ours out of the way of a number that the container wants. */
static int vacate(struct launch *l, int *fd, int number)
{
    if (*fd == number)
        *fd = TRY(fcntl(number, F_DUPFD_CLOEXEC, number + 1));
    return 0;
}

int op_dup(struct launch *l, int fd, int64_t number)
{
    if (fd == number) {
        TRY(fcntl(fd, F_SETFD, 0));
        return 0;
    }
    PASS(vacate(l, &l->control, (int)number));
    PASS(vacate(l, &l->turn, (int)number));
    for (uint32_t i = 0; i < l->plan->slots; i++)
        PASS(vacate(l, &l->fd[i], (int)number));
    TRY(dup3(fd, (int)number, 0));
    return 0;
}

int op_chown(struct launch *l, int fd, int64_t uid, int64_t gid)
{
    TRY(fchownat(fd, "", (uid_t)uid, (gid_t)gid, AT_EMPTY_PATH));
    return 0;
}

int op_close_from(struct launch *l, int64_t first)
{
    TRY(sys_close_range((unsigned)first, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */));
    return 0;
}

int op_dumpable(struct launch *l, int64_t value)
{
    TRY(prctl(PR_SET_DUMPABLE, value, 0, 0, 0));
    return 0;
}

int op_rlimit(struct launch *l, int64_t resource, int64_t soft, int64_t hard)
{
    uint64_t limit[2] = {(uint64_t)soft, (uint64_t)hard};
    TRY(CALL(SYS_prlimit64, l->child, (int)resource, limit, NULL));
    return 0;
}

int op_scheduler(struct launch *l, int64_t policy, int64_t flags, int64_t nice, int64_t priority, int64_t runtime, int64_t deadline,
                 int64_t period)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attr = {sizeof attr,       (uint32_t)policy,  (uint64_t)flags,    (int32_t)nice,
              (uint32_t)priority, (uint64_t)runtime, (uint64_t)deadline, (uint64_t)period};
    TRY(CALL(SYS_sched_setattr, l->child, &attr, 0));
    return 0;
}

int op_ioprio(struct launch *l, int64_t value)
{
    TRY(CALL(SYS_ioprio_set, 1 /* IOPRIO_WHO_PROCESS */, l->child, (int)value));
    return 0;
}

int op_affinity(struct launch *l, struct bytes mask)
{
    TRY(CALL(SYS_sched_setaffinity, l->child, mask.size, mask.at));
    return 0;
}

int op_mempolicy(struct launch *l, int64_t mode, struct bytes nodes)
{
    /* The kernel takes the number of bits plus one. */
    TRY(CALL(SYS_set_mempolicy, (int)mode, nodes.size ? nodes.at : NULL, nodes.size ? nodes.size * 8 + 1 : 0));
    return 0;
}

int op_personality(struct launch *l, int64_t value)
{
    TRY(personality((unsigned long)value));
    return 0;
}

int op_keyring(struct launch *l, const char *id)
{
    char name[2048];
    if (snprintf(name, sizeof name, "_ses.%s", id) >= (int)sizeof name)
        return -ENAMETOOLONG;
    int ring = TRY(CALL(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name));
    /* The owner may search it whatever user the process becomes. */
    TRY(CALL(SYS_keyctl, KEYCTL_SETPERM, ring, 0x3f3f0000));
    return 0;
}

int op_umask(struct launch *l, int64_t mask)
{
    (void)l;
    umask((mode_t)mask);
    return 0;
}

/* The raw calls below: the C library's wrappers would also tell threads that we do not have. */
int op_groups(struct launch *l, struct bytes gids)
{
    TRY(CALL(SYS_setgroups, gids.size / sizeof(gid_t), gids.at));
    return 0;
}

int op_user(struct launch *l, int64_t uid, int64_t gid)
{
    TRY(CALL(SYS_setresgid, (gid_t)gid, (gid_t)gid, (gid_t)gid));
    TRY(CALL(SYS_setresuid, (uid_t)uid, (uid_t)uid, (uid_t)uid));
    return 0;
}

int op_bounding(struct launch *l, int64_t keep)
{
    for (int number = 0; number < 64; number++) {
        if (keep >> number & 1 || prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0)
            continue;
        if (errno == EINVAL)
            break; /* the kernel knows no more capabilities */
        /* Who may not drop one may still lack it already. */
        if (prctl(PR_CAPBSET_READ, number, 0, 0, 0) != 0)
            return launch_failed(l, "prctl(");
    }
    return 0;
}

int op_keep_caps(struct launch *l, int64_t value)
{
    TRY(prctl(PR_SET_KEEPCAPS, value, 0, 0, 0));
    return 0;
}

int op_capset(struct launch *l, int64_t effective, int64_t permitted, int64_t inheritable)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
        {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
    };
    TRY(CALL(SYS_capset, &header, data));
    return 0;
}

int op_ambient(struct launch *l, int64_t keep)
{
    TRY(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
    for (int number = 0; number < 64; number++)
        if (keep >> number & 1)
            TRY(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0));
    return 0;
}

int op_no_new_privs(struct launch *l)
{
    TRY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    return 0;
}

int op_chdir(struct launch *l, const char *path)
{
    char where[4096];
    /* No magic link: /proc/self/fd/N would lead wherever one of our descriptors does (CVE-2024-21626). */
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
    AUTO_CLOSE dir = TRY(sys_openat2(AT_FDCWD, path, &how));
    TRY(fchdir(dir));
    /* Outside the root the kernel answers "(unreachable)/...": a descriptor that leaked led us there. */
    TRY(CALL(SYS_getcwd, where, sizeof where));
    if (where[0] != '/') {
        launch_detail(l, "the working directory is outside the container's root");
        return -EXDEV;
    }
    return 0;
}

/* Whether a file can be executed, in the words that execve would use. */
static int program_fault(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    return sys_faccessat2(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/* As execvp: a name with a slash is a path; of several directories the first that has it counts. */
int op_find_program(struct launch *l, const char *name, struct texts directories)
{
    static char path[4096];
    int fault = strchr(name, '/') ? program_fault(name) : -ENOENT;
    l->program = name;
    for (size_t i = 0; i < directories.count && fault && !strchr(name, '/'); i++) {
        const char *directory = directories.at[i];
        if (snprintf(path, sizeof path, "%s/%s", *directory ? directory : ".", name) >= (int)sizeof path)
            continue;
        l->program = path;
        fault = program_fault(path);
    }
    l->what = "stat";
    /* Of several places none had it; of one, the reason counts. */
    return fault && directories.count > 1 && !strchr(name, '/') ? -ENOENT : fault;
}

int op_seccomp(struct launch *l, struct bytes filter, int64_t flags)
{
    if (filter.size / sizeof(struct sock_filter) > BPF_MAXINSNS)
        return -E2BIG; /* its count would be cut to 16 bits, and the filter with it */
    struct sock_fprog program = {
        .len = (unsigned short)(filter.size / sizeof(struct sock_filter)),
        .filter = (struct sock_filter *)filter.at,
    };
    return TRY(CALL(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
}

int op_exec(struct launch *l, struct texts argv, struct texts env)
{
    if (argv.count == 0)
        return -EINVAL;
    for (size_t i = 0; i < env.count && l->home[0]; i++)
        if (strncmp(env.at[i], "HOME=", 5) == 0)
            env.at[i] = l->home;
    TRY(execve(l->program ? l->program : argv.at[0], argv.at, env.at));
    return 0;
}
