/* Connections of engines: SOCK_SEQPACKET records of the table in src/corten/tasks/protocol.py, decoded without trust, answered at once.
 *
 * A connection never makes the monitor wait: an engine that does not read its events loses its connection, and finds the state again when
 * it comes back. Whoever connects must have our own uid or be root. */
#include "monitor.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct conn {
    bool used, listens; /* listens: it said HELLO */
    struct watch sock;
};

static struct conn conns[MAX_CONNS];
static size_t conns_open;

/* Which requests there are, and how long their fields are on our side. */
static size_t fixed_size(uint16_t type)
{
    static const struct message *m;
    switch (type) {
#define SIZE(name, member) \
    case MSG_##name: \
        return sizeof m->u.member;
        SIZE(HELLO, hello)
        SIZE(CREATE, create)
        SIZE(START, start)
        SIZE(EXEC, exec)
        SIZE(ATTACH, attach)
        SIZE(RESIZE, resize)
        SIZE(SIGNAL, signal)
        SIZE(CLOSE_STDIN, close_stdin)
        SIZE(LOG_REOPEN, log_reopen)
        SIZE(PORTS, ports)
#undef SIZE
    }
    return 0;
}

/* Decode one record; fields that an older sender does not have are 0. Returns 0 or a negative errno. */
int message_decode(const uint8_t *data, size_t n, struct message *m)
{
    struct msg_header h;
    memset(&m->u, 0, sizeof m->u);
    m->type = 0, m->seq = 0, m->tail = 0, m->tail_len = 0;
    if (n < sizeof h)
        return -EBADMSG;
    memcpy(&h, data, sizeof h);
    m->type = h.type;
    m->seq = h.seq;
    if (h.fixed > n - sizeof h)
        return -EBADMSG;
    size_t known = fixed_size(h.type);
    memcpy(&m->u, data + sizeof h, h.fixed < known ? h.fixed : known);
    m->tail = data + sizeof h + h.fixed;
    m->tail_len = n - sizeof h - h.fixed;
    return known ? 0 : -ENOSYS;
}

void conn_closed(size_t index)
{
    if (!conns[index].used)
        return;
    watch_close(&conns[index].sock);
    conns[index].used = false;
    conns_open--;
    bool creator = monitor.creator == (int)index;
    if (creator)
        monitor.creator = -1;
    if (monitor.status < STATUS_RUNNING && (creator || !conns_open))
        procs_abort();
    if (!conns_open)
        procs_release();
}

bool conn_is(size_t index, uint64_t tag)
{
    return index < MAX_CONNS && conns[index].used && conns[index].sock.tag == tag;
}

static void conn_send(size_t index, uint16_t type, uint32_t seq, const void *fields, uint16_t fixed)
{
    struct msg_header h = {type, fixed, seq};
    struct iovec iov[2] = {{&h, sizeof h}, {(void *)fields, fixed}};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
    if (sendmsg(conns[index].sock.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        conn_closed(index);
}

static void conns_tell(uint16_t type, const void *fields, uint16_t fixed)
{
    for (size_t i = 0; i < MAX_CONNS; i++)
        if (conns[i].used && conns[i].listens)
            conn_send(i, type, 0, fields, fixed);
}

void conns_tell_exit(const struct proc *p)
{
    struct msg_exit e = {p->number, p->exit.code, p->exit.signal, p->exit.oom, p->exit.at};
    conns_tell(MSG_EXIT, &e, sizeof e);
}

void conns_tell_detached(const struct proc *p)
{
    struct msg_detached d = {p->number};
    conns_tell(MSG_DETACHED, &d, sizeof d);
}

/* ---- one function per request; each returns 0, a value, or a negative errno ---- */

static int take(struct message *m, size_t i)
{
    int fd = i < m->nfds ? m->fds[i] : -1;
    if (i < m->nfds)
        m->fds[i] = -1;
    return fd;
}

/* The attributes are mapped, not copied: shared pages of the engine's memfd instead of private ones of ours. */
static int map_attrs(struct log *l, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > 1 << 20)
        return -EINVAL;
    void *at = mmap(0, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return -errno;
    l->attrs = at;
    l->attrs_len = (size_t)st.st_size;
    return 0;
}

static int open_log(struct message *m)
{
    const struct msg_create *c = &m->u.create;
    struct log *l = &container_log;
    if (!(c->flags & FLAG_LOG))
        return 0;
    l->dir = take(m, 3);
    l->max_size = c->log_max_size;
    l->max_file = c->log_max_file ? c->log_max_file : 1;
    if (l->dir < 0 || log_open(l, (const char *)m->tail, m->tail_len) < 0)
        return -EIO;
    return c->flags & FLAG_ATTRS ? m->nfds > 4 ? map_attrs(l, m->fds[4]) : -EINVAL : 0;
}

static int on_create(size_t index, struct message *m)
{
    const struct msg_create *c = &m->u.create;
    if (monitor.status != STATUS_NEW || monitor.creator >= 0)
        return -EALREADY;
    if (m->nfds < 3)
        return -EINVAL;
    int e = open_log(m);
    if (e)
        return e;
    struct proc *p = proc_new();
    if ((e = proc_launch(p, m->fds[0], m->fds[1], m->fds[2], c->flags, c->rows, c->cols)))
        return e;
    monitor.status = STATUS_CREATED;
    monitor.creator = (int)index;
    return 0;
}

static int on_start(struct message *m)
{
    struct proc *p = &procs[0];
    if (monitor.status != STATUS_CREATED || p->ended)
        return -ESRCH;
    proc_read_report(p); /* so that a terminal has its master and size before the process runs */
    monitor.status = STATUS_RUNNING;
    proc_reserve_exit();
    close_fd(&monitor.oom);
    monitor.oom = take(m, 0);
    return 0;
}

static int on_exec(struct message *m)
{
    const struct msg_exec *x = &m->u.exec;
    if (m->nfds < 3)
        return -EINVAL;
    if (monitor.status != STATUS_RUNNING)
        return -ESRCH;
    struct proc *p = proc_new();
    if (!p)
        return -EAGAIN;
    p->held = !(x->flags & FLAG_DISCARD);
    int e = proc_launch(p, m->fds[0], m->fds[1], m->fds[2], x->flags, x->rows, x->cols);
    return e ? e : (int)p->number;
}

static int on_attach(struct message *m)
{
    struct proc *p = proc_find(m->u.attach.target);
    if (!p)
        return -ESRCH;
    int e = client_attach(p, &m->u.attach, m);
    for (size_t i = 0; !e && i < m->nfds && i < 2; i++)
        take(m, i);
    return e;
}

static int on_ports(struct message *m)
{
    if (!(m->u.ports.flags & FLAG_APPEND))
        while (monitor.nports)
            close(held_ports[--monitor.nports]);
    if (monitor.nports + m->nfds > MAX_PORTS)
        return -EMFILE;
    if (monitor.status == STATUS_STOPPED)
        return -ESRCH;
    for (size_t i = 0; i < m->nfds; i++)
        held_ports[monitor.nports++] = take(m, i);
    return 0;
}

static int on_target(const struct message *m)
{
    struct proc *p = proc_find(m->u.resize.target); /* the first field of all three */
    if (!p)
        return -ESRCH;
    if (m->type == MSG_RESIZE)
        return proc_resize(p, m->u.resize.rows, m->u.resize.cols);
    if (m->type == MSG_SIGNAL)
        return proc_signal(p, (int)m->u.signal.signal);
    proc_close_stdin(p);
    return 0;
}

static int on_log_reopen(void)
{
    struct log *l = &container_log;
    return l->fd >= 0 && log_open(l, l->name, strlen(l->name)) < 0 ? -EIO : 0;
}

static void send_state(size_t index, uint32_t seq)
{
    const struct proc *p = &procs[0];
    struct msg_state s = {MONITOR_VERSION, (uint32_t)getpid(), (uint32_t)p->pid, monitor.status, p->exit.code,
                          p->exit.signal,  p->exit.oom,        0,                p->exit.at};
    conns[index].listens = true;
    conn_send(index, MSG_STATE, seq, &s, sizeof s);
}

static int handle(size_t index, struct message *m)
{
    switch (m->type) {
    case MSG_CREATE:
        return on_create(index, m);
    case MSG_START:
        return on_start(m);
    case MSG_EXEC:
        return on_exec(m);
    case MSG_ATTACH:
        return on_attach(m);
    case MSG_LOG_REOPEN:
        return on_log_reopen();
    case MSG_PORTS:
        return on_ports(m);
    default:
        return on_target(m);
    }
}

static void receive_descriptors(struct msghdr *h, struct message *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        n = n < MAX_FDS - m->nfds ? n : MAX_FDS - m->nfds;
        memcpy(m->fds + m->nfds, CMSG_DATA(c), n * sizeof(int));
        m->nfds += n;
    }
}

static void answer(size_t index, struct message *m, int e)
{
    if (m->type == MSG_HELLO && !e) {
        send_state(index, m->seq);
        return;
    }
    if (!e)
        e = handle(index, m);
    struct msg_reply r = {e < 0 ? -e : 0, e > 0 ? (uint32_t)e : 0};
    if (conns[index].used)
        conn_send(index, MSG_REPLY, m->seq, &r, sizeof r);
}

void conn_readable(size_t index)
{
    static uint8_t record[MAX_MESSAGE];
    static struct message m;
    static union {
        struct cmsghdr align;
        char space[CMSG_SPACE(MAX_FDS * sizeof(int))];
    } control;
    struct iovec iov = {record, sizeof record};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(conns[index].sock.fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        conn_closed(index);
        return;
    }
    m.nfds = 0;
    receive_descriptors(&h, &m);
    int e = message_decode(record, (size_t)n, &m);
    /* A descriptor is cut off where we have no number left for it. */
    answer(index, &m, h.msg_flags & MSG_TRUNC ? -EMSGSIZE : h.msg_flags & MSG_CTRUNC ? -EMFILE : e);
    for (size_t i = 0; i < m.nfds; i++)
        close_fd(&m.fds[i]); /* what nobody took */
}

void conns_accept(int listener)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    int fd = accept4(listener, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    bool ours = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == 0 || peer.uid == geteuid());
    for (size_t i = 0; ours && i < MAX_CONNS; i++) {
        if (conns[i].used)
            continue;
        conns[i] = (struct conn){.used = true};
        watch_start(&conns[i].sock, fd, KIND_CONN, i);
        watch_set(&conns[i].sock, EPOLLIN);
        conns_open++;
        return;
    }
    close(fd);
}
