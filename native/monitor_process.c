/* Processes of the container: spawn @launch, own their pipes or pty, reap them, record the exit.
 *
 * @launch finds its stdio at 0 to 2, the plan at 3, the control socket to the engine at 4 and our report socket at 5 (and at 6: the plan may
 * name it twice, as the slots `pid-file` and `console`). On the
 * report socket it sends the process's pid (decimal), and for a terminal one more message with the pty's master. The process is our child from the
 * beginning (CLONE_PARENT), and so are, since we are a subreaper, those that it leaves behind outside a pid namespace of its own. */
#include "monitor.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The other ends, which the launcher gets. */
struct ends {
    int in, out, err, report;
};

static int make_pipe(int *ours, int *theirs, bool we_write)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    *ours = fds[we_write ? 1 : 0];
    *theirs = fds[we_write ? 0 : 1];
    fcntl(*ours, F_SETFL, O_NONBLOCK);
    return 0;
}

static void watch_new(struct proc *p, struct watch *w, int fd, enum kind kind)
{
    watch_start(w, fd, kind, (size_t)(p - procs));
}

/* Pipes for what is wanted, /dev/null for the rest: a terminal's stdio is opened by the launcher inside the container. */
static int make_stdio(struct proc *p, struct ends *ends, uint32_t flags)
{
    int fd = -1, e, pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    ends->report = pair[1];
    watch_new(p, &p->report, pair[0], KIND_REPORT);
    if (p->tty)
        return 0;
    if (flags & FLAG_STDIN) {
        if ((e = make_pipe(&fd, &ends->in, true)) < 0)
            return e;
        watch_new(p, &p->in, fd, KIND_IN);
    }
    if ((e = make_pipe(&fd, &ends->out, false)) < 0)
        return e;
    watch_new(p, &p->out[0], fd, KIND_OUT);
    if ((e = make_pipe(&fd, &ends->err, false)) < 0)
        return e;
    watch_new(p, &p->out[1], fd, KIND_ERR);
    return 0;
}

/* Between vfork and exec the child borrows our memory: system calls only. Every source is above 6 (reserve_low_descriptors). */
static pid_t spawn(int program, int plan, int control, const struct ends *ends)
{
    static char *const argv[] = {"corten", "@launch", 0}, *const envp[] = {0};
    const int from[] = {ends->in, ends->out, ends->err, plan, control, ends->report, ends->report};
    sigset_t none;
    sigemptyset(&none);
    pid_t pid = vfork();
    if (pid != 0)
        return pid;
    sigprocmask(SIG_SETMASK, &none, 0);
    for (int to = 0; to < 7; to++)
        if (from[to] >= 0 && dup2(from[to], to) < 0)
            _exit(125);
    syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
    _exit(125);
}

static void proc_close(struct proc *p)
{
    if (p->in.fd >= 0 && p->in.fd == p->out[0].fd)
        p->in.fd = -1; /* a terminal: one master, both ways */
    watch_close(&p->report);
    watch_close(&p->in);
    watch_close(&p->out[0]);
    watch_close(&p->out[1]);
}

/* Take over no descriptor: the caller closes program, plan and control. Returns 0 or a negative errno. */
int proc_launch(struct proc *p, int program, int plan, int control, uint32_t flags, uint16_t rows, uint16_t cols)
{
    struct ends ends = {-1, -1, -1, -1};
    p->tty = flags & FLAG_TERMINAL;
    p->rows = rows, p->cols = cols;
    int e = make_stdio(p, &ends, flags);
    if (!e) {
        p->launcher = spawn(program, plan, control, &ends);
        e = p->launcher < 0 ? -errno : 0;
    }
    close_fd(&ends.in), close_fd(&ends.out), close_fd(&ends.err), close_fd(&ends.report);
    if (e) {
        proc_close(p);
        p->used = false;
        return e;
    }
    watch_set(&p->report, EPOLLIN);
    proc_update(p);
    return 0;
}

struct proc *proc_find(uint32_t number)
{
    for (size_t i = 0; i < MAX_PROCS; i++)
        if (procs[i].used && procs[i].number == number)
            return &procs[i];
    return 0;
}

/* Slot 0 is the container's; the number of an exec is never used twice. */
struct proc *proc_new(void)
{
    static uint32_t count;
    for (size_t i = count ? 1 : 0; i < MAX_PROCS; i++) {
        if (procs[i].used)
            continue;
        procs[i] = (struct proc){.used = true, .number = count++, .report.fd = -1, .in.fd = -1, .out = {{.fd = -1}, {.fd = -1}}};
        return &procs[i];
    }
    return 0;
}

int proc_resize(struct proc *p, uint16_t rows, uint16_t cols)
{
    p->rows = rows, p->cols = cols;
    struct winsize size = {.ws_row = rows, .ws_col = cols};
    if (!p->tty)
        return -ENOTTY;
    if (p->out[0].fd < 0)
        return p->ended ? -ESRCH : 0; /* the master is still to come, and gets the size then */
    return ioctl(p->out[0].fd, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

/* Free of races: the pid cannot be anybody else's before we have reaped it. */
int proc_signal(struct proc *p, int signal)
{
    if (p->ended || !p->pid)
        return -ESRCH;
    return kill(p->pid, signal) < 0 ? -errno : 0;
}

void proc_close_stdin(struct proc *p)
{
    if (!p->tty)
        watch_close(&p->in);
}

static void take_master(struct proc *p, int fd)
{
    if (!p->tty || p->out[0].fd >= 0) {
        close(fd);
        return;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    watch_new(p, &p->out[0], fd, KIND_OUT);
    p->in.fd = fd;
    if (p->rows && p->cols)
        proc_resize(p, p->rows, p->cols);
    proc_update(p);
}

static void take_descriptors(struct proc *p, struct msghdr *h)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        int fd;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; CMSG_LEN(at + sizeof fd) <= c->cmsg_len; at += sizeof fd) {
            memcpy(&fd, CMSG_DATA(c) + at, sizeof fd);
            take_master(p, fd);
        }
    }
}

/* Read what the launcher has reported up to now. */
void proc_read_report(struct proc *p)
{
    while (p->report.fd >= 0) {
        char pid[16] = "";
        union {
            struct cmsghdr align;
            char space[CMSG_SPACE(4 * sizeof(int))];
        } control;
        struct iovec iov = {pid, sizeof pid - 1};
        struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t n = recvmsg(p->report.fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            watch_close(&p->report);
            return;
        }
        take_descriptors(p, &h);
        if (!p->pid)
            p->pid = atoi(pid); /* a terminal's message is no number: 0 */
    }
}

/* The kernel counts kills in the container's memory cgroup: `oom_kill N` in v1's memory.oom_control and v2's memory.events. */
static uint32_t oom_kills(void)
{
    static const char key[] = "oom_kill ";
    char text[512];
    ssize_t n = monitor.oom < 0 ? -1 : pread(monitor.oom, text, sizeof text - 1, 0);
    if (n <= 0)
        return 0;
    text[n] = 0;
    for (char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, sizeof key - 1) == 0)
            return line[sizeof key - 1] != '0';
    }
    return 0;
}

enum { EXIT_ROOM = 160 };

/* Take the space for the exit's record while there is some: when the disk is full at the end, nobody else could tell the end. */
void proc_reserve_exit(void)
{
    char room[EXIT_ROOM];
    memset(room, ' ', sizeof room);
    int fd = openat(monitor.state_dir, "exit.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && write(fd, room, sizeof room) < 0)
        unlinkat(monitor.state_dir, "exit.new", 0);
    close_fd(&fd);
}

/* DIR/exit appears whole or not at all; it needs no fsync, for a run directory does not outlive a power cut. */
static void record_exit(const struct exit_record *x)
{
    char text[EXIT_ROOM];
    int n = snprintf(text, sizeof text, "{\"code\":%d,\"signal\":%u,\"oom\":%s,\"at\":%llu}\n", (int)x->code, (unsigned)x->signal,
                     x->oom ? "true" : "false", (unsigned long long)x->at);
    int fd = openat(monitor.state_dir, "exit.new", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return;
    bool whole = write(fd, text, (size_t)n) == n && ftruncate(fd, n) == 0;
    close(fd);
    if (whole)
        renameat(monitor.state_dir, "exit.new", monitor.state_dir, "exit");
}

static void container_ended(struct proc *p)
{
    p->exit.oom = oom_kills();
    log_finish(&container_log);
    if (monitor.status == STATUS_RUNNING)
        record_exit(&p->exit);
    else
        monitor.aborted = true;
    monitor.status = STATUS_STOPPED;
    while (monitor.nports)
        close(held_ports[--monitor.nports]);
}

static void proc_release_ended(struct proc *p)
{
    if (p->held)
        return;
    proc_close(p);
    clients_end(p);
}

/* A held process has its client, or will never have one. */
void proc_release(struct proc *p)
{
    p->held = false;
    if (p->ended) {
        proc_drain(p);
        proc_release_ended(p);
    }
    proc_update(p);
}

/* No engine is left that could attach anybody. */
void procs_release(void)
{
    for (size_t i = 0; i < MAX_PROCS; i++)
        if (procs[i].used && procs[i].held)
            proc_release(&procs[i]);
}

/* What the process wrote before it ended is in the pipes now: it goes to the log and the clients before anybody hears of the end. Pipes that a
 * child still holds are not waited for. */
static void proc_ended(struct proc *p, int status)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    p->exit.at = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    p->exit.signal = WIFSIGNALED(status) ? (uint32_t)WTERMSIG(status) : 0;
    p->exit.code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    p->ended = true;
    if (!p->held)
        proc_drain(p);
    if (p == &procs[0])
        container_ended(p);
    conns_tell_exit(p);
    proc_release_ended(p);
}

/* The launcher's parent half is gone. When it failed, what it started must not stay. A process that died before its pid was reported was
 * reaped as a stranger: then it is no child of ours any more, and its pid not ours to signal. */
static void launcher_ended(struct proc *p, int status)
{
    int child = status;
    pid_t waited = p->pid ? waitpid(p->pid, &child, WNOHANG) : -1;
    p->launcher = 0;
    if (waited != 0)
        proc_ended(p, child);
    else if (status != 0)
        kill(p->pid, SIGKILL); /* reaped later */
}

static void reaped(pid_t pid, int status)
{
    for (size_t i = 0; i < MAX_PROCS; i++) {
        struct proc *p = &procs[i];
        if (!p->used || p->ended)
            continue;
        if (p->pid == pid)
            proc_ended(p, status);
        else if (p->launcher == pid)
            launcher_ended(p, status);
    }
}

/* A pid is always reported before its process can become our child, so reports are read before the dead are named. */
void procs_reap(void)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < MAX_PROCS; i++)
            if (procs[i].used)
                proc_read_report(&procs[i]);
        reaped(pid, status);
    }
}

void procs_abort(void)
{
    monitor.aborted = true;
    for (size_t i = 0; i < MAX_PROCS; i++) {
        pid_t pid = procs[i].pid ? procs[i].pid : procs[i].launcher;
        if (procs[i].used && !procs[i].ended && pid)
            kill(pid, SIGKILL);
    }
}
