/* @monitor: keeps one container's stdio, log and exit while engines come and go.
 *
 * It is spawned with descriptors 3 (a listening SOCK_SEQPACKET socket, already bound by the engine) and 4 (the container's state
 * directory), and leaves when the container and its execs have ended and every attached client has what is its due; or, when no engine ever
 * said START, as soon as the engine that created it is gone. */
#include "corten.h"
#include "monitor.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LISTENER = 3, STATE_DIR = 4, FIRST_FREE = 10 };

struct monitor monitor = {.creator = -1, .oom = -1};
struct log container_log = {.dir = -1, .fd = -1};
int held_ports[MAX_PORTS];
struct proc procs[MAX_PROCS];
struct client clients[MAX_CLIENTS];
uint8_t io[IO_SIZE];

static uint32_t generation; /* of watches: makes each tag unique */
static struct watch signals, listener;

void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void watch_start(struct watch *w, int fd, enum kind kind, size_t index)
{
    *w = (struct watch){.fd = fd, .tag = (uint64_t)kind << 56 | (uint64_t)index << 32 | ++generation};
}

void watch_set(struct watch *w, uint32_t events)
{
    if (w->fd < 0 || w->events == events)
        return;
    struct epoll_event e = {.events = events, .data.u64 = w->tag};
    epoll_ctl(monitor.epoll, !w->events ? EPOLL_CTL_ADD : events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL, w->fd, &e);
    w->events = events;
}

/* A duplicate of the descriptor may live on in a launcher, and would keep the epoll entry alive: so it is removed first. */
void watch_close(struct watch *w)
{
    watch_set(w, 0);
    close_fd(&w->fd);
}

uint64_t now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec;
}

static void on_signal(void)
{
    struct signalfd_siginfo info;
    while (read(signals.fd, &info, sizeof info) == sizeof info)
        ;
    procs_reap();
}

static void dispatch(uint64_t tag, uint32_t events)
{
    size_t index = tag >> 32 & 0xffffff;
    struct proc *p = &procs[index < MAX_PROCS ? index : 0];
    switch ((enum kind)(tag >> 56)) {
    case KIND_LISTENER:
        conns_accept(listener.fd);
        break;
    case KIND_SIGNAL:
        on_signal();
        break;
    case KIND_CONN:
        if (conn_is(index, tag))
            conn_readable(index);
        break;
    case KIND_REPORT:
        if (p->report.tag == tag)
            proc_read_report(p);
        break;
    case KIND_OUT: /* also a terminal's master, both ways */
        if (p->out[0].tag == tag && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            proc_output(p, 0);
        if (p->out[0].tag == tag && events & EPOLLOUT)
            proc_input_ready(p);
        break;
    case KIND_ERR:
        if (p->out[1].tag == tag)
            proc_output(p, 1);
        break;
    case KIND_IN:
        if (p->in.tag == tag)
            proc_input_ready(p);
        break;
    case KIND_CLIENT:
        if (clients[index].used && clients[index].sock.tag == tag)
            client_event(&clients[index], events);
        break;
    }
}

/* Everything that the monitor was there for is done. */
static bool finished(void)
{
    if (monitor.status == STATUS_NEW)
        return monitor.aborted;
    for (size_t i = 0; i < MAX_PROCS; i++)
        if (procs[i].used)
            return false;
    return true;
}

static bool waiting_clients(void)
{
    for (size_t i = 0; i < MAX_CLIENTS; i++)
        if (clients[i].used && clients[i].sock.events & EPOLLOUT)
            return true;
    return false;
}

/* Received descriptors get numbers from FIRST_FREE on, so that a launcher's 0 to 6 can be filled by dup2 in any order. */
static void reserve_low_descriptors(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (null >= 0 && null < FIRST_FREE)
        null = fcntl(null, F_DUPFD_CLOEXEC, 0);
    close_fd(&null);
}

static int start(void)
{
    struct stat st;
    if (fstat(STATE_DIR, &st) < 0 || fstat(LISTENER, &st) < 0)
        return -1;
    fcntl(LISTENER, F_SETFD, FD_CLOEXEC);
    fcntl(STATE_DIR, F_SETFD, FD_CLOEXEC);
    monitor.state_dir = STATE_DIR;
    monitor.epoll = epoll_create1(EPOLL_CLOEXEC);
    /* All signals are blocked, none ignored: a SIGTERM meant for the engine's whole group must not take the containers' logs along, and what
     * is ignored would stay ignored in the container. A broken pipe is seen as EPIPE. */
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_SETMASK, &set, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (monitor.epoll < 0 || fd < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || chdir("/") < 0)
        return -1;
    umask(077);
    reserve_low_descriptors();
    watch_start(&signals, fd, KIND_SIGNAL, 0);
    watch_set(&signals, EPOLLIN);
    watch_start(&listener, LISTENER, KIND_LISTENER, 0);
    watch_set(&listener, EPOLLIN);
    return 0;
}

int monitor_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    if (start() < 0)
        return 125;
    while (!finished()) {
        struct epoll_event events[16];
        int n = epoll_wait(monitor.epoll, events, 16, waiting_clients() ? 1000 : -1);
        if (n < 0 && errno != EINTR)
            return 125;
        for (int i = 0; i < n; i++)
            dispatch(events[i].data.u64, events[i].events);
        clients_sweep();
    }
    return 0;
}
