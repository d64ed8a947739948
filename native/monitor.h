/* One monitor per container: the shared nouns of the monitor*.c files.
 *
 *   monitor.c           start, event loop, signals, when to leave
 *   monitor_messages.c  connections of engines: decode, dispatch, answer (src/corten/tasks/protocol.py is the table)
 *   monitor_process.c   spawn @launch, pipes or pty, reap, record the exit
 *   monitor_streams.c   pump between processes and attached clients, stdcopy frames, detach keys, backlog
 *   monitor_log.c       the json-file log and its rotation
 *   monitor_replay.c    the log read back for a client that attaches late
 *
 * Everything is static: no malloc, no threads, no stdio streams. Untouched tables cost no memory. A monitor never blocks: every descriptor
 * it reads or writes is non-blocking, except regular files.
 */
#ifndef MONITOR_H
#define MONITOR_H

#include "monitor.gen.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    MAX_PROCS = 129,    /* the container and 128 execs at once */
    MAX_CLIENTS = 128,  /* attached at once, over all processes */
    MAX_CONNS = 16,     /* engines: one, or two while a new one adopts */
    MAX_PORTS = 4096,   /* published ports */
    MAX_FDS = 250,      /* in one message; the kernel's limit is 253 */
    MAX_MESSAGE = 4096, /* one record */
    MAX_KEYS = 16,      /* a detach sequence */
    IO_SIZE = 16384,    /* one read; also where Docker cuts a line of the log */
};

/* What a descriptor in the epoll set is; (kind, index, generation) is its tag, so that an event of a slot that was reused is dropped. */
enum kind { KIND_LISTENER = 1, KIND_SIGNAL, KIND_CONN, KIND_REPORT, KIND_OUT, KIND_ERR, KIND_IN, KIND_CLIENT };

struct watch {
    int fd;          /* -1: none */
    uint32_t events; /* 0: not in the epoll set */
    uint64_t tag;
};

struct exit_record {
    int32_t code;
    uint32_t signal, oom;
    uint64_t at; /* ns since 1970 */
};

/* A process that we launched. The container is number 0; execs count up from 1. */
struct proc {
    bool used, tty;
    bool held;   /* an exec whose client has not attached yet: its output waits in the pipe */
    bool ended;  /* reaped; the slot lives on until its clients are served */
    bool paused; /* some client's backlog is full */
    uint32_t number;
    pid_t launcher, pid;
    uint16_t rows, cols;
    struct watch report, in, out[2];
    struct exit_record exit;
};

/* Bytes on their way that wait in a file. */
struct backlog {
    int fd; /* -1: none */
    off_t head, tail;
};

struct replay {
    int fd; /* -1: none */
    off_t offset, end;
    size_t sent; /* of the present record's frame */
    uint32_t generation, last;
};

/* An attached client: the API client's own hijacked socket. */
struct client {
    bool used;
    bool gone;    /* takes no more output */
    bool eof;     /* sends no more input */
    bool ending;  /* is let go as soon as it has what is its due */
    bool blocked; /* has input that the process does not take yet */
    struct proc *proc;
    uint32_t flags;
    struct watch sock;
    struct backlog early, late; /* towards the process; towards the client */
    struct replay replay;
    uint64_t progress; /* monotonic seconds when the client last took something */
    uint8_t keys[MAX_KEYS], nkeys, matched;
    uint8_t typed[2 * MAX_KEYS + 256];
    uint16_t typed_head, typed_tail;
};

struct message {
    uint16_t type;
    uint32_t seq;
    union {
        struct msg_hello hello;
        struct msg_create create;
        struct msg_start start;
        struct msg_exec exec;
        struct msg_attach attach;
        struct msg_resize resize;
        struct msg_signal signal;
        struct msg_close_stdin close_stdin;
        struct msg_log_reopen log_reopen;
        struct msg_ports ports;
    } u;
    const uint8_t *tail;
    size_t tail_len;
    int fds[MAX_FDS];
    size_t nfds;
};

struct log {
    int dir, fd; /* -1: no log */
    char name[256];
    uint64_t size, max_size; /* 0: no rotation */
    uint32_t max_file, generation;
    const char *attrs; /* JSON of "attrs", mapped */
    size_t attrs_len;
};

struct monitor {
    int epoll, state_dir;
    enum status status;
    int creator;  /* index of the connection that sent CREATE; -1 */
    bool aborted; /* the engine died before START: end everything, record nothing */
    int oom;      /* v1 memory.oom_control or v2 memory.events; -1 */
    size_t nports; /* how many of held_ports there are */
};

extern struct monitor monitor;
extern struct log container_log;
extern int held_ports[MAX_PORTS];
extern struct proc procs[MAX_PROCS];
extern struct client clients[MAX_CLIENTS];
extern uint8_t io[IO_SIZE]; /* the one buffer that reads go through */

/* monitor.c */
void watch_start(struct watch *w, int fd, enum kind kind, size_t index);
void watch_set(struct watch *w, uint32_t events);
void watch_close(struct watch *w);
void close_fd(int *fd);
uint64_t now_seconds(void);

/* monitor_messages.c */
int message_decode(const uint8_t *data, size_t n, struct message *m);
void conns_accept(int listener);
void conn_readable(size_t index);
void conn_closed(size_t index);
bool conn_is(size_t index, uint64_t tag);
void conns_tell_exit(const struct proc *p);
void conns_tell_detached(const struct proc *p);

/* monitor_process.c */
int proc_launch(struct proc *p, int program, int plan, int control, uint32_t flags, uint16_t rows, uint16_t cols);
struct proc *proc_find(uint32_t number);
struct proc *proc_new(void);
int proc_resize(struct proc *p, uint16_t rows, uint16_t cols);
int proc_signal(struct proc *p, int signal);
void proc_close_stdin(struct proc *p);
void proc_read_report(struct proc *p);
void procs_reap(void);
void proc_release(struct proc *p);
void procs_release(void);
void procs_abort(void);
void proc_reserve_exit(void);

/* monitor_streams.c */
int client_attach(struct proc *p, const struct msg_attach *a, const struct message *m);
void client_event(struct client *c, uint32_t events);
void proc_output(struct proc *p, int which);
void proc_input_ready(struct proc *p);
void proc_update(struct proc *p);
void proc_drain(struct proc *p);
void clients_end(struct proc *p);
void clients_sweep(void);
bool client_frame(struct client *c, int stream, const uint8_t *data, size_t n, size_t *sent);
void client_queue(struct client *c, int stream, const uint8_t *data, size_t n);

/* monitor_log.c */
int log_open(struct log *l, const char *name, size_t len);
void log_feed(struct log *l, int stream, const uint8_t *data, size_t n);
void log_finish(struct log *l);
const uint8_t *log_pending(int stream, size_t *n);
void log_name(const struct log *l, uint32_t index, char *out, size_t size);

/* monitor_replay.c */
void replay_begin(struct client *c);
bool replay_step(struct client *c);

#endif
