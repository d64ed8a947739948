/* Generated from src/corten/tasks/protocol.py by `python -m corten.tasks.header`; a test compares. */
#ifndef MONITOR_GEN_H
#define MONITOR_GEN_H
#include <stdint.h>

#ifndef MONITOR_VERSION
#define MONITOR_VERSION 1
#endif

struct msg_header { uint16_t type; uint16_t fixed; uint32_t seq; };

enum msg_type {
    MSG_HELLO = 1, /* answer STATE; send events to this connection from now on */
    MSG_CREATE = 2, /* spawn @launch for the container; the tail is the log file's name */
    MSG_START = 3, /* the container's program is about to run: record its end */
    MSG_EXEC = 4, /* spawn @launch for one more process; REPLY.value is its target */
    MSG_ATTACH = 5, /* pump between the process and the client's own socket, or take it that none will come; tail: detach keys */
    MSG_RESIZE = 6, /* set the terminal's window */
    MSG_SIGNAL = 7, /* signal the process unless it was reaped */
    MSG_CLOSE_STDIN = 8, /* close our end of stdin */
    MSG_LOG_REOPEN = 9, /* open the log file by its name again */
    MSG_PORTS = 10, /* hold these bound sockets until the container ends */
    MSG_REPLY = 64, /* the answer: an errno or 0 */
    MSG_STATE = 65, /* who the monitor is and what became of the container */
    MSG_EXIT = 96, /* the process has ended; `at` is in ns since 1970 */
    MSG_DETACHED = 97, /* a client typed its detach sequence */
};

enum msg_flag {
    FLAG_TERMINAL = 1,
    FLAG_STDIN = 2,
    FLAG_LOG = 4,
    FLAG_ATTRS = 8,
    FLAG_STDOUT = 16,
    FLAG_STDERR = 32,
    FLAG_REPLAY = 64,
    FLAG_STREAM = 128,
    FLAG_MULTIPLEX = 256,
    FLAG_CLOSE_STDIN = 512,
    FLAG_EARLY = 1024,
    FLAG_DISCARD = 2048,
    FLAG_APPEND = 4096,
};

enum status {
    STATUS_NEW = 0,
    STATUS_CREATED = 1,
    STATUS_RUNNING = 2,
    STATUS_STOPPED = 3,
};

struct msg_hello { uint32_t version; };
struct msg_create { uint32_t flags; uint16_t rows; uint16_t cols; uint64_t log_max_size; uint32_t log_max_file; uint32_t reserved; };
struct msg_start { uint32_t reserved; };
struct msg_exec { uint32_t flags; uint16_t rows; uint16_t cols; };
struct msg_attach { uint32_t target; uint32_t flags; };
struct msg_resize { uint32_t target; uint16_t rows; uint16_t cols; };
struct msg_signal { uint32_t target; uint32_t signal; };
struct msg_close_stdin { uint32_t target; };
struct msg_log_reopen { uint32_t reserved; };
struct msg_ports { uint32_t flags; };
struct msg_reply { int32_t error; uint32_t value; };
struct msg_state { uint32_t version; uint32_t monitor; uint32_t pid; uint32_t status; int32_t code; uint32_t signal; uint32_t oom; uint32_t reserved; uint64_t at; };
struct msg_exit { uint32_t target; int32_t code; uint32_t signal; uint32_t oom; uint64_t at; };
struct msg_detached { uint32_t target; };

#endif
