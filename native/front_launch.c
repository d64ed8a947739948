/* The controller of a launch whose plan leaves it nothing to do: it hears of the process, of the checkpoint `created`, and of
 * the row that failed. docs/plan.md has the messages. */
#include "front.h"
#include "launch.h"
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { OUT_OF_THE_WAY = 200, MAX_GIVEN = 2, MFD_EXECUTABLE = 0x10, EXIT_MS = 10000 };
/* What of the signals is not for the container: not to be caught, about our own children, our streams or our terminal. */
static const int own_signals[] = {SIGKILL, SIGSTOP, SIGCHLD, SIGURG,  SIGPIPE, SIGWINCH, SIGCONT,
                                  SIGTSTP, SIGTTIN, SIGTTOU, SIGILL, SIGFPE,  SIGSEGV,  SIGBUS};

/* The program that a container's process begins as lies in memory that nobody can write to (CVE-2019-5736). */
static int sealed_program(void)
{
    struct stat st;
    AUTO_CLOSE self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    AUTO_CLOSE copy = memfd_create("corten", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXECUTABLE);
    if (copy < 0 && errno == EINVAL)
        copy = memfd_create("corten", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (self < 0 || copy < 0 || fstat(self, &st) < 0)
        return -1;
    for (off_t at = 0; at < st.st_size;)
        if (sendfile(copy, self, &at, (size_t)(st.st_size - at)) <= 0)
            return -1;
    if (fcntl(copy, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return -1;
    return keep_fd(&copy);
}

bool launch_spawn(struct launching *l, int plan, const int (*fds)[2], size_t count)
{
    int pair[2];
    char path[32], *const argv[] = {"corten", "@launch", NULL}, *const environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    *l = (struct launching){.control = -1, .pidfd = -1};
    AUTO_CLOSE program = sealed_program();
    if (program < 0 || plan < 0 || count > MAX_GIVEN || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return false;
    l->control = pair[0];
    snprintf(path, sizeof path, "/proc/self/fd/%d", program);
    posix_spawn_file_actions_init(&actions);
    const int own[][2] = {{PLAN_FD, plan}, {CONTROL_FD, pair[1]}};
    int moved[MAX_GIVEN + 2]; /* above every number that is wanted, so that moving one into place overwrites no other */
    for (size_t i = 0; i < count + 2; i++) {
        const int *one = i < 2 ? own[i] : fds[i - 2];
        moved[i] = fcntl(one[1], F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
        posix_spawn_file_actions_adddup2(&actions, moved[i], one[0]);
    }
    int failed = posix_spawn(&l->launcher, path, &actions, NULL, argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    for (size_t i = 0; i < count + 2; i++)
        close(moved[i]);
    close(pair[1]);
    return failed == 0;
}

static ssize_t receive(const struct launching *l, char *message, size_t size, int *fd)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * 8)];
    } control;
    struct iovec part = {message, size};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(l->control, &m, MSG_CMSG_CLOEXEC);
    struct cmsghdr *head = got >= 0 ? CMSG_FIRSTHDR(&m) : NULL;
    *fd = -1;
    if (head && head->cmsg_type == SCM_RIGHTS)
        memcpy(fd, CMSG_DATA(head), sizeof *fd);
    return got;
}

static void reap_launcher(struct launching *l)
{
    if (l->launcher > 0)
        waitpid(l->launcher, NULL, 0);
    l->launcher = 0;
}

bool launch_until(struct launching *l, const char *checkpoint)
{
    struct {
        uint16_t type, row;
        int32_t error;
        uint32_t pid;
        char text[500];
    } m;
    int fd;
    for (ssize_t size; (size = receive(l, (char *)&m, sizeof m - 1, &fd)) >= (ssize_t)offsetof(__typeof__(m), text);) {
        ((char *)&m)[size] = 0;
        if (m.type == MSG_STARTED) {
            l->pid = (pid_t)m.pid;
            l->pidfd = fd;
        } else if (m.type == MSG_CHECKPOINT) {
            return strcmp(m.text, checkpoint) == 0;
        } else {
            l->message_size = (size_t)size;
            memcpy(l->message, &m, (size_t)size);
        }
    }
    reap_launcher(l);
    return !*checkpoint && !l->message_size;
}

bool launch_go(const struct launching *l)
{
    const struct {
        uint16_t type, row;
        int32_t error;
        uint32_t pid;
        char text[4];
    } go = {.type = MSG_GO};
    return send(l->control, &go, offsetof(__typeof__(go), text) + 1, MSG_NOSIGNAL) > 0;
}

void end_process(int pidfd)
{
    struct pollfd gone = {.fd = pidfd, .events = POLLIN};
    if (pidfd >= 0 && syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0)
        poll(&gone, 1, EXIT_MS);
}

static sigset_t forwarded(void)
{
    sigset_t set;
    sigfillset(&set);
    for (size_t i = 0; i < sizeof own_signals / sizeof *own_signals; i++)
        sigdelset(&set, own_signals[i]);
    return set;
}

static sigset_t before;
static bool blocked;

/* From here on what we are told waits until there is somebody to tell. */
void forward_begin(void)
{
    sigset_t set = forwarded();
    blocked = sigprocmask(SIG_BLOCK, &set, &before) == 0;
}

void forward_end(void)
{
    if (blocked)
        sigprocmask(SIG_SETMASK, &before, NULL);
}

/* Pass signals on until the process has ended; its exit code, or 128 and its signal. */
int forward_wait(const struct launching *l)
{
    sigset_t set = forwarded();
    struct pollfd ready[] = {{.fd = l->pidfd, .events = POLLIN}, {.fd = signalfd(-1, &set, SFD_CLOEXEC), .events = POLLIN}};
    int status = 0;
    while (poll(ready, 2, -1) >= 0 || errno == EINTR) {
        struct signalfd_siginfo told;
        if (ready[1].revents && read(ready[1].fd, &told, sizeof told) == sizeof told)
            syscall(SYS_pidfd_send_signal, l->pidfd, told.ssi_signo, NULL, 0);
        if (ready[0].revents)
            break;
    }
    if (waitpid(l->pid, &status, 0) < 0)
        return 255;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Sockets are named by their directory's descriptor: an address has 108 bytes, a path any number. */
static int address_of(struct sockaddr_un *a, int dir, const char *name)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    return snprintf(a->sun_path, sizeof a->sun_path, "/proc/self/fd/%d/%s", dir, name) < (int)sizeof a->sun_path ? 0 : -1;
}

int connect_at(int dir, const char *name, int kind)
{
    struct sockaddr_un address;
    AUTO_CLOSE fd = socket(AF_UNIX, kind | SOCK_CLOEXEC, 0);
    if (fd < 0 || address_of(&address, dir, name) < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return -1;
    return keep_fd(&fd);
}

int connect_to(const char *path)
{
    char directory[MAX_PATH];
    const char *slash = strrchr(path, '/');
    if (!slash || snprintf(directory, sizeof directory, "%.*s", (int)(slash - path + 1), path) >= (int)sizeof directory)
        return -1;
    AUTO_CLOSE dir = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return dir < 0 ? -1 : connect_at(dir, slash + 1, SOCK_STREAM);
}

int listen_at(int dir, const char *name)
{
    struct sockaddr_un address;
    AUTO_CLOSE fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || address_of(&address, dir, name) < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, 1) < 0)
        return -1;
    return keep_fd(&fd);
}
