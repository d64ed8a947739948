/* corten @launch: execute a launch plan (docs/plan.md).
 *
 * It is spawned with the plan in a sealed memfd (descriptor 3) and the control socket (4). Rows run in the order in which
 * they are listed, whoever's they are: `host` rows first; `clone` splits the program into the parent half and the child, and
 * from then on the half whose row is next has the turn and hands it over when the actor changes. The parent half leaves after
 * its last row; the child ends in exec. Every failure that a row does not accept is reported with row, errno and system call.
 *
 * The program first makes sure that it runs from a sealed memfd: a container that gets hold of /proc/PID/exe must not be able
 * to overwrite the host's file (CVE-2019-5736). A spawner that executes a sealed memfd saves that copy. */
#include "corten.h"
#include "launch.h"
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

/* linux/sched.h and sched.h cannot both be included everywhere; this is struct clone_args up to CLONE_INTO_CGROUP. */
struct clone_arguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};
#define CLONE_PIDFD_FLAG 0x1000ull
#define CLONE_INTO_CGROUP_FLAG 0x200000000ull
#define MFD_EXEC_FLAG 0x10u

int launch_failed(struct launch *l, const char *call)
{
    static char name[48];
    int error = errno;
    const char *start = strncmp(call, "sys_", 4) == 0 ? call + 4 : call;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(start, "("), start);
    l->what = name;
    return -error;
}

void launch_detail(struct launch *l, const char *text)
{
    snprintf(l->detail, sizeof l->detail, "%s", text);
}

static void die(const char *action)
{
    dprintf(STDERR_FILENO, "corten: cannot %s: %s\n", action, strerror(errno));
    _exit(125);
}

static bool is_sealed(int fd)
{
    const int need = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & need) == need;
}

/* Continue from a sealed copy of this program, unless we run from one already. */
static void run_sealed(char **argv)
{
    AUTO_CLOSE self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (self < 0)
        die("open /proc/self/exe (is /proc mounted?)");
    if (is_sealed(self))
        return;
    struct stat st;
    /* Since 6.3 a memfd says whether it may be executed; before, the flag is unknown and every memfd may. */
    int copy = memfd_create("corten", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC_FLAG);
    if (copy < 0 && errno == EINVAL)
        copy = memfd_create("corten", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (copy < 0 || fstat(self, &st) < 0)
        die("make a memfd for the sealed program");
    for (off_t at = 0; at < st.st_size;)
        if (sendfile(copy, self, &at, (size_t)(st.st_size - at)) <= 0)
            die("copy the program into a memfd");
    if (fcntl(copy, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        die("seal the program");
    char *const args[] = {"corten", argv[0], NULL};
    syscall(SYS_execveat, copy, "", args, environ, AT_EMPTY_PATH);
    die("execute the sealed program (see the sysctl vm.memfd_noexec)");
}

/* A container inherits neither our spawner's ignored signals nor its mask. */
static void reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
}

static const char *load_plan(struct launch *l)
{
    struct stat st;
    if (fstat(PLAN_FD, &st) < 0 || !is_sealed(PLAN_FD))
        return "descriptor 3 is not a sealed memfd";
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, PLAN_FD, 0);
    if (bytes == MAP_FAILED)
        return "it cannot be mapped";
    close(PLAN_FD);
    return plan_decode(l, bytes, (size_t)st.st_size);
}

int op_clone(struct launch *l, int64_t flags, int cgroup)
{
    int pair[2], pidfd = -1;
    TRY(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
    struct clone_arguments args = {
        .flags = (uint64_t)flags | CLONE_PIDFD_FLAG | (cgroup == NO_FD ? 0 : CLONE_INTO_CGROUP_FLAG),
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        /* With CLONE_PARENT the child is our spawner's, who then can wait for it, and has our own exit signal. */
        .exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD,
        .cgroup = cgroup == NO_FD ? 0 : (uint64_t)cgroup,
    };
    pid_t pid = TRY(sys_clone3(&args, sizeof args));
    l->me = pid ? PARENT : CHILD;
    l->child = pid;
    l->turn = pair[pid == 0];
    close(pair[pid != 0]);
    return pid ? pidfd : 0;
}

static bool accepts(const struct row *r, int error)
{
    return error == r->accept[0] || error == r->accept[1] || error == r->accept[2];
}

static uint32_t nanoseconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((now.tv_sec - start->tv_sec) * 1000000000 + (now.tv_nsec - start->tv_nsec));
}

/* Run one row; leave the program when it fails. */
static void run_row(struct launch *l, const struct row *r)
{
    struct timespec start;
    if (l->plan->flags & PLAN_TRACE)
        clock_gettime(CLOCK_MONOTONIC, &start);
    l->what = NULL;
    l->detail[0] = 0;
    int result = l->row == l->plan->fault_row ? -(int)l->plan->fault_errno : dispatch(l, r);
    if (result < 0 && !accepts(r, -result)) {
        tell_error(l, -result);
        _exit(1);
    }
    if (r->op == OP_CLONE && l->me == CHILD)
        return; /* the parent half has the pidfd and tells the time */
    if (l->plan->flags & PLAN_TRACE)
        tell_trace(l, nanoseconds_since(&start));
    if (result >= 0 && r->slot != NO_SLOT)
        l->fd[r->slot] = result;
    else if (result > 0)
        close(result); /* a handle that nobody wants */
}

/* Let the other half run the next row, or wait until it lets us. When the other half has died, so do we. */
static void change_turn(struct launch *l, uint8_t from)
{
    char token = 0;
    if (l->me == from ? write(l->turn, &token, 1) != 1 : read(l->turn, &token, 1) != 1)
        _exit(1);
}

static void run(struct launch *l)
{
    uint8_t turn = HOST;
    uint32_t parents_last = 0;
    for (uint32_t i = 0; i < l->plan->rows; i++)
        if (l->rows[i].actor == PARENT)
            parents_last = i;
    for (l->row = 0; l->row < l->plan->rows; l->row++) {
        const struct row *r = &l->rows[l->row];
        if (r->actor == CONTROLLER)
            continue;
        if (r->actor != turn && turn != HOST)
            change_turn(l, turn);
        turn = r->actor;
        if (l->me == PARENT && l->row > parents_last)
            _exit(0);
        if (r->actor == l->me)
            run_row(l, r);
    }
}

int launch_main(int argc, char **argv)
{
    static struct launch launch;
    struct launch *l = &launch;
    (void)argc;
    run_sealed(argv);
    reset_signals();
    umask(0);
    l->me = HOST;
    l->control = CONTROL_FD;
    l->turn = l->root = -1;
    l->row = NO_SLOT;
    const char *fault = load_plan(l);
    if (fault) {
        l->what = "plan";
        launch_detail(l, fault);
        tell_error(l, EINVAL);
        return 125;
    }
    /* What we were given must not leak into the container; standard streams are meant for it. */
    if (sys_close_range(3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) < 0)
        die("mark descriptors close-on-exec");
    run(l);
    return 0;
}
