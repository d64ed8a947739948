/* Pumping between processes and attached clients.
 *
 * A client is the API client's own socket, so its bytes never pass through the engine, and it stays attached when the engine dies.
 *
 * Backpressure. A client that reads slowly must neither lose bytes nor stop the log. What its socket does not take goes to a backlog, an
 * unlinked file beside the log, up to BACKLOG_MAX bytes. Only then are the process's pipes left unread, so that the process itself waits, as it
 * does at once under Docker; and a client that takes nothing at all for STALL seconds in that state is cut off. After the process has
 * ended nobody waits for the client, so it has LINGER seconds between two reads.
 *
 * Stdin goes the other way without a buffer of ours: bytes stay in the client's socket until the pipe takes them (MSG_PEEK). Only a terminal's
 * input, which is searched for the detach sequence, passes through the few hundred bytes of `typed`. */
#include "monitor.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef BACKLOG_MAX
#define BACKLOG_MAX (64 << 20)
#endif
#ifndef STALL
#define STALL 30
#endif
#ifndef LINGER
#define LINGER 600
#endif

static bool client_behind(const struct client *c)
{
    return c->replay.fd >= 0 || c->late.head < c->late.tail;
}

static bool client_full(const struct client *c)
{
    return c->late.tail - c->late.head > BACKLOG_MAX;
}

static void client_free(struct client *c)
{
    watch_close(&c->sock);
    close_fd(&c->early.fd);
    close_fd(&c->late.fd);
    close_fd(&c->replay.fd);
    c->used = false;
    proc_update(c->proc);
}

/* The client's due is served. Unread input would turn close() into a reset that overtakes our last bytes on TCP; but who goes on sending
 * must not keep us. */
static void client_finish(struct client *c)
{
    shutdown(c->sock.fd, SHUT_WR);
    for (int reads = 0; reads < 64 && recv(c->sock.fd, io, IO_SIZE, MSG_DONTWAIT) > 0; reads++)
        ;
    client_free(c);
}

static void client_update(struct client *c)
{
    uint32_t events = (c->eof || c->blocked ? 0 : EPOLLIN) | (client_behind(c) ? EPOLLOUT : 0);
    watch_set(&c->sock, c->gone ? 0 : events | EPOLLERR); /* EPOLLERR only keeps it in the set: HUP is always told */
}

/* ---- towards the client ---- */

static int backlog_file(void)
{
    int dir = container_log.dir >= 0 ? container_log.dir : monitor.state_dir;
    int fd = openat(dir, ".backlog", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST) { /* of a monitor that died between the two calls */
        unlinkat(dir, ".backlog", 0);
        fd = openat(dir, ".backlog", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    }
    if (fd >= 0)
        unlinkat(dir, ".backlog", 0);
    return fd;
}

static void client_lost(struct client *c)
{
    c->gone = true;
    c->late.head = c->late.tail = 0;
    close_fd(&c->replay.fd);
}

/* Keep what the socket did not take, from byte `sent` of the frame on. */
static void client_keep(struct client *c, struct iovec part[2], size_t sent)
{
    struct backlog *b = &c->late;
    if (b->fd < 0) {
        b->fd = backlog_file();
        b->head = b->tail = 0;
    }
    for (int i = 0; i < 2; i++) {
        size_t skip = sent < part[i].iov_len ? sent : part[i].iov_len;
        size_t n = part[i].iov_len - skip;
        sent -= skip;
        if (n && (b->fd < 0 || pwrite(b->fd, (char *)part[i].iov_base + skip, n, b->tail) != (ssize_t)n)) {
            client_lost(c); /* a torn frame would garble all that follows */
            return;
        }
        b->tail += (off_t)n;
    }
}

/* Describe a piece of output as the client wants it; 0 when it does not want it. */
static size_t frame(const struct client *c, int stream, const uint8_t *data, size_t n, uint8_t header[8], struct iovec part[2])
{
    const uint8_t stdcopy[8] = {(uint8_t)(stream + 1), 0, 0, 0, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    if (c->gone || !n || !(c->flags & (stream ? FLAG_STDERR : FLAG_STDOUT)))
        return 0;
    memcpy(header, stdcopy, sizeof stdcopy);
    part[0] = (struct iovec){header, c->flags & FLAG_MULTIPLEX ? sizeof stdcopy : 0};
    part[1] = (struct iovec){(void *)data, n};
    return part[0].iov_len + n;
}

static ssize_t client_write(struct client *c, struct iovec part[2])
{
    struct msghdr h = {.msg_iov = part, .msg_iovlen = 2};
    ssize_t sent = sendmsg(c->sock.fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0)
        c->progress = now_seconds();
    else if (sent < 0 && errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM)
        client_lost(c);
    return sent;
}

/* One piece of output. `queue` says that it belongs behind what is waiting already. */
static void client_send(struct client *c, int stream, const uint8_t *data, size_t n, bool queue)
{
    uint8_t header[8];
    struct iovec part[2];
    size_t whole = frame(c, stream, data, n, header, part);
    if (whole == 0)
        return;
    ssize_t sent = queue ? 0 : client_write(c, part);
    if (!c->gone && sent < (ssize_t)whole)
        client_keep(c, part, sent > 0 ? (size_t)sent : 0);
}

void client_queue(struct client *c, int stream, const uint8_t *data, size_t n)
{
    client_send(c, stream, data, n, true);
}

/* A frame of the replay goes before all that is queued, so its rest cannot be queued: `*sent` says how much of it the socket has taken. */
bool client_frame(struct client *c, int stream, const uint8_t *data, size_t n, size_t *sent)
{
    uint8_t header[8];
    struct iovec part[2];
    size_t whole = frame(c, stream, data, n, header, part);
    if (whole == 0)
        return true;
    for (size_t i = 0, skip = *sent, cut; i < 2; i++, skip -= cut) {
        cut = skip < part[i].iov_len ? skip : part[i].iov_len;
        part[i] = (struct iovec){(char *)part[i].iov_base + cut, part[i].iov_len - cut};
    }
    ssize_t w = client_write(c, part);
    *sent += w > 0 ? (size_t)w : 0;
    return c->gone || *sent == whole;
}

static void clients_output(struct proc *p, int which, const uint8_t *data, size_t n)
{
    for (size_t i = 0; i < MAX_CLIENTS; i++) {
        struct client *c = &clients[i];
        if (!c->used || c->proc != p || c->ending || !(c->flags & FLAG_STREAM))
            continue;
        client_send(c, which, data, n, client_behind(c));
        client_update(c);
    }
    if (p == &procs[0])
        log_feed(&container_log, which, data, n);
}

static bool backlog_step(struct client *c)
{
    struct backlog *b = &c->late;
    ssize_t n = sendfile(c->sock.fd, b->fd, &b->head, (size_t)(b->tail - b->head));
    if (n > 0)
        c->progress = now_seconds();
    else if (n == 0 || errno != EAGAIN)
        client_lost(c);
    if (b->head < b->tail)
        return false;
    b->head = b->tail = 0;
    if (b->fd >= 0 && ftruncate(b->fd, 0) < 0)
        close_fd(&b->fd);
    return true;
}

/* The socket takes bytes again: first the rest of a torn frame and the log's past, then what was kept in the meantime. */
static void client_writable(struct client *c)
{
    while (!c->gone && client_behind(c)) {
        if (c->replay.fd >= 0 ? !replay_step(c) : !backlog_step(c))
            break;
    }
    if (c->ending && !client_behind(c))
        client_finish(c);
    else if (c->flags & FLAG_STREAM || client_behind(c))
        proc_update(c->proc);
    else
        client_finish(c); /* it wanted the log only */
}

/* ---- from the process ---- */

static bool output_once(struct proc *p, int which)
{
    struct watch *w = &p->out[which];
    ssize_t n = w->fd < 0 ? -1 : read(w->fd, io, IO_SIZE);
    if (n > 0) {
        clients_output(p, which, io, (size_t)n);
        return true;
    }
    if (w->fd >= 0 && (n == 0 || errno != EAGAIN)) { /* a terminal says EIO when its last user has closed it */
        if (p->in.fd == w->fd)
            p->in.fd = -1;
        watch_close(w);
    }
    return false;
}

void proc_output(struct proc *p, int which)
{
    output_once(p, which);
    proc_update(p);
}

/* At the end of a process: what stands in its pipes, at most as much as a pipe can hold (1 MiB, or a terminal's small pieces), for
 * a child that it left behind may write for ever. */
void proc_drain(struct proc *p)
{
    for (int which = 0; which < 2; which++)
        for (int reads = 0; reads < 256 && output_once(p, which); reads++)
            ;
}

/* ---- from the client ---- */

static void client_detach(struct client *c)
{
    conns_tell_detached(c->proc);
    c->ending = true;
}

/* Copy typed bytes, holding back what may be the beginning of the detach sequence. */
static void client_typed(struct client *c, const uint8_t *data, size_t n)
{
    for (size_t i = 0; i < n && !c->ending; i++) {
        if (c->matched && data[i] != c->keys[c->matched]) {
            memcpy(c->typed + c->typed_tail, c->keys, c->matched);
            c->typed_tail += c->matched;
            c->matched = 0;
        }
        if (c->nkeys && data[i] == c->keys[c->matched]) {
            if (++c->matched == c->nkeys)
                client_detach(c);
        } else {
            c->typed[c->typed_tail++] = data[i];
        }
    }
}

/* Docker's rule (moby daemon/stream/attach.go): the end of a client's input closes a stdin that was opened once; otherwise it ends
 * the client's whole session. */
static void client_input_ended(struct client *c)
{
    c->eof = true;
    if (!(c->flags & FLAG_STDIN)) /* docker's command closes its half at once when it has no input to send */
        return;
    if (c->flags & FLAG_CLOSE_STDIN && !c->proc->tty)
        proc_close_stdin(c->proc);
    else
        c->ending = true;
}

static ssize_t to_process(struct proc *p, const void *data, size_t n)
{
    if (p->in.fd < 0)
        return (ssize_t)n; /* nobody reads: as if it were read */
    ssize_t w = write(p->in.fd, data, n);
    if (w >= 0)
        return w;
    if (errno == EAGAIN)
        return 0;
    if (!p->tty)
        proc_close_stdin(p); /* EPIPE: the process has closed its stdin */
    return (ssize_t)n;
}

/* Fetch input into io without consuming it: first what came before the hijack, then the socket. -1 means none yet, 0 the end. */
static ssize_t input_peek(struct client *c, size_t limit)
{
    if (c->early.head < c->early.tail)
        return pread(c->early.fd, io, limit, c->early.head);
    ssize_t n = recv(c->sock.fd, io, limit, MSG_DONTWAIT | MSG_PEEK);
    return n < 0 && errno != EAGAIN && errno != EINTR ? 0 : n;
}

static void input_consume(struct client *c, size_t n)
{
    if (c->early.head < c->early.tail) {
        c->early.head += (off_t)n;
        if (c->early.head == c->early.tail)
            close_fd(&c->early.fd);
    } else if (n && recv(c->sock.fd, io, n, MSG_DONTWAIT) < 0) {
        c->eof = true;
    }
}

static bool typed_flush(struct client *c)
{
    if (c->typed_head < c->typed_tail)
        c->typed_head += (uint16_t)to_process(c->proc, c->typed + c->typed_head, (size_t)(c->typed_tail - c->typed_head));
    if (c->typed_head < c->typed_tail)
        return false;
    c->typed_head = c->typed_tail = 0;
    return true;
}

/* Move one piece of input; false when there is none, or, with `blocked` set, when the process does not take it. */
static bool input_once(struct client *c)
{
    struct proc *p = c->proc;
    bool wanted = c->flags & FLAG_STDIN, typing = p->tty && wanted, opening = p->tty && p->out[0].fd < 0 && !p->ended;
    c->blocked = wanted && (opening || !typed_flush(c));
    if (c->blocked || c->eof || c->ending)
        return false;
    ssize_t n = input_peek(c, typing ? 256 : IO_SIZE), moved = n;
    if (n == 0)
        client_input_ended(c);
    if (n <= 0)
        return false;
    if (typing)
        client_typed(c, io, (size_t)n);
    else if (wanted)
        moved = to_process(p, io, (size_t)n);
    input_consume(c, (size_t)moved);
    c->blocked = moved < n;
    return true;
}

/* In small turns, for others wait; but a client that is gone, and bytes that came early, raise no event again. */
static void client_readable(struct client *c)
{
    for (int turns = 0; turns < 8 || c->gone || c->early.head < c->early.tail; turns++)
        if (!input_once(c) || c->blocked)
            break;
    if (c->ending && !client_behind(c) && c->typed_head == c->typed_tail)
        client_finish(c);
    else
        proc_update(c->proc);
}

/* Peer gone in both directions: its output is dropped, but what it sent before still goes to the process. */
static void client_hung_up(struct client *c)
{
    client_lost(c);
    client_readable(c);
}

void client_event(struct client *c, uint32_t events)
{
    uint64_t tag = c->sock.tag;
    if (events & (EPOLLHUP | EPOLLERR)) {
        client_hung_up(c);
        return;
    }
    if (events & EPOLLIN)
        client_readable(c);
    if (c->used && c->sock.tag == tag && events & EPOLLOUT)
        client_writable(c);
}

void proc_input_ready(struct proc *p)
{
    for (size_t i = 0; i < MAX_CLIENTS; i++)
        if (clients[i].used && clients[i].proc == p && clients[i].flags & FLAG_STDIN)
            client_readable(&clients[i]);
    proc_update(p);
}

/* ---- the process's descriptors in the epoll set follow from its clients ---- */

void proc_update(struct proc *p)
{
    bool input = false;
    p->paused = false;
    for (size_t i = 0; i < MAX_CLIENTS; i++) {
        struct client *c = &clients[i];
        if (!c->used || c->proc != p)
            continue;
        p->paused |= !c->gone && client_full(c);
        input |= c->blocked && !p->ended;
    }
    uint32_t out = p->paused || p->held ? 0 : EPOLLIN;
    if (p->tty) {
        watch_set(&p->out[0], out | (input ? EPOLLOUT : 0));
    } else {
        watch_set(&p->in, input ? EPOLLOUT : 0);
        watch_set(&p->out[0], out);
        watch_set(&p->out[1], out);
    }
    for (size_t i = 0; i < MAX_CLIENTS; i++)
        if (clients[i].used && clients[i].proc == p)
            client_update(&clients[i]);
}

/* ---- attach and leave ---- */

static struct client *client_new(void)
{
    for (size_t i = 0; i < MAX_CLIENTS; i++)
        if (!clients[i].used)
            return &clients[i];
    return 0;
}

static void backlog_of(struct backlog *b, int fd)
{
    struct stat st;
    *b = (struct backlog){.fd = fd, .tail = fstat(fd, &st) == 0 ? st.st_size : 0};
}

/* Takes over m->fds[0], the client, and m->fds[1], its early bytes. Without a client it only says that none will come. */
int client_attach(struct proc *p, const struct msg_attach *a, const struct message *m)
{
    if (m->nfds) {
        struct client *c = client_new();
        if (!c || m->tail_len > MAX_KEYS)
            return c ? -EINVAL : -EMFILE;
        *c = (struct client){.used = true, .proc = p, .flags = a->flags, .nkeys = (uint8_t)m->tail_len, .progress = now_seconds()};
        memcpy(c->keys, m->tail, m->tail_len);
        c->late.fd = c->replay.fd = c->early.fd = -1;
        fcntl(m->fds[0], F_SETFL, O_NONBLOCK); /* for sendfile, which has no flag of its own */
        watch_start(&c->sock, m->fds[0], KIND_CLIENT, (size_t)(c - clients));
        if (a->flags & FLAG_EARLY && m->nfds > 1)
            backlog_of(&c->early, m->fds[1]);
        if (a->flags & FLAG_REPLAY && p == &procs[0])
            replay_begin(c);
        c->ending = !client_behind(c) && !(a->flags & FLAG_STREAM);
        client_readable(c); /* takes the early bytes; more come as events */
    }
    proc_release(p);
    return 0;
}

/* The process has ended: its clients get what is on its way to them, and then the end. */
void clients_end(struct proc *p)
{
    for (size_t i = 0; i < MAX_CLIENTS; i++)
        if (clients[i].used && clients[i].proc == p) {
            clients[i].ending = true;
            clients[i].progress = now_seconds();
            client_update(&clients[i]);
        }
}

static bool clients_any(const struct proc *p)
{
    for (size_t i = 0; i < MAX_CLIENTS; i++)
        if (clients[i].used && clients[i].proc == p)
            return true;
    return false;
}

static bool client_stalled(const struct client *c, uint64_t now)
{
    uint64_t patience = c->proc->ended ? LINGER : STALL;
    return (c->proc->ended || client_full(c)) && now - c->progress > patience;
}

/* After each round of events: let go of clients that are served or stalled, and of processes that have ended and serve nobody. */
void clients_sweep(void)
{
    uint64_t now = now_seconds();
    for (size_t i = 0; i < MAX_CLIENTS; i++) {
        struct client *c = &clients[i];
        if (!c->used)
            continue;
        if (client_stalled(c, now) || (c->gone && (c->eof || c->proc->ended || !(c->flags & FLAG_STDIN))))
            client_free(c);
        else if (c->ending && !client_behind(c) && (c->typed_head == c->typed_tail || c->proc->ended))
            client_finish(c);
    }
    for (size_t i = 0; i < MAX_PROCS; i++)
        if (procs[i].used && procs[i].ended && !procs[i].held && !clients_any(&procs[i]))
            procs[i].used = false;
}
