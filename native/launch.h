/* The interpreter's own nouns: the plan as it lies in memory, the launch as it goes on, and the one check macro.
 *
 * An operation is a function `op_NAME` (prototypes in ops.gen.h). It returns a descriptor or 0, or -errno; TRY() does that
 * for every system call and remembers its name for the error message. Nothing here allocates. */
#ifndef LAUNCH_H
#define LAUNCH_H

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum { PLAN_FD = 3, CONTROL_FD = 4 };
enum { HOST = 1, PARENT = 2, CHILD = 4, CONTROLLER = 8 };
enum { MAX_ROWS = 4096, MAX_SLOTS = 1024, MAX_PLAN = 8 << 20, MAX_TEXT = 480 };
#define NO_SLOT 0xffffu
/* An absent `slot?` argument; system calls that take a directory then use the working directory. */
#define NO_FD AT_FDCWD

struct plan {
    uint32_t magic;
    uint16_t version, flags;
    uint64_t table;
    uint32_t size, rows, slots, inherits, fault_row, fault_errno;
};
struct inherit {
    uint32_t fd, slot;
};
struct row {
    uint16_t op, slot;
    uint8_t actor, accept[3];
    uint64_t arg[8];
};
enum { PLAN_MAGIC = 0x4e4c5043, PLAN_VERSION = 1, PLAN_TRACE = 1 };

struct bytes {
    const void *at;
    size_t size;
};
struct texts {
    char **at; /* NULL-terminated */
    size_t count;
};
struct slots {
    const uint64_t *at;
    size_t count;
};

struct launch {
    struct plan *plan;
    const struct row *rows;
    int fd[MAX_SLOTS]; /* -1 until a row makes it */
    int control;       /* to the controller */
    int turn;          /* to the other half: whoever runs the next row */
    int root;          /* from `root` on no host path is opened */
    uint8_t me;        /* HOST, then PARENT or CHILD */
    pid_t child;       /* for the parent: its pid; 0 for the others, which system calls take as oneself */
    const char *program;
    char home[MAX_TEXT];   /* HOME=..., when the container's passwd file was asked for it */
    const char *what;      /* the system call that failed */
    char detail[MAX_TEXT]; /* what it failed on, where the row does not say it */
    uint32_t row;
};

/* launch_plan.c: check a plan completely and make its lists of strings usable in place; NULL or what is wrong with it. */
const char *plan_decode(struct launch *l, void *bytes, size_t size);

/* launch_control.c */
enum { MSG_CHECKPOINT = 1, MSG_STARTED = 2, MSG_ERROR = 3, MSG_TRACE = 4, MSG_GO = 16, MSG_ABORT = 17 };
void tell_error(struct launch *l, int error);
void tell_trace(struct launch *l, uint32_t nanoseconds);

/* launch_path.c */
int resolve_in(struct launch *l, int dir, const char *path, uint64_t flags, bool strict);

/* launch_host.c */
int write_file(struct launch *l, int dir, const char *name, const void *data, size_t size);

int launch_failed(struct launch *l, const char *call);
void launch_detail(struct launch *l, const char *text);

/* Evaluate a system call; on failure leave the operation with -errno. */
#define TRY(call)                                                                                                            \
    __extension__({                                                                                                          \
        __typeof__(call) result_ = (call);                                                                                   \
        if (result_ < 0)                                                                                                     \
            return launch_failed(l, #call);                                                                                  \
        result_;                                                                                                             \
    })
/* Evaluate another operation, which returns -errno itself. */
#define PASS(call)                                                                                                           \
    __extension__({                                                                                                          \
        int result_ = (call);                                                                                                \
        if (result_ < 0)                                                                                                     \
            return result_;                                                                                                  \
        result_;                                                                                                             \
    })

static inline void close_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define AUTO_CLOSE __attribute__((cleanup(close_fd))) int

static inline int keep_fd(int *fd)
{
    int kept = *fd;
    *fd = -1;
    return kept;
}

/* System calls newer than the oldest C library we build with; their numbers are the same on every architecture. */
#define CALL(number, ...) ((int)syscall(number, __VA_ARGS__))
#define sys_open_tree(dir, path, flags) CALL(428, dir, path, flags)
#define sys_move_mount(from, from_path, to, to_path, flags) CALL(429, from, from_path, to, to_path, flags)
#define sys_fsopen(name, flags) CALL(430, name, flags)
#define sys_fsconfig(fs, command, key, value, aux) CALL(431, fs, command, key, value, aux)
#define sys_fsmount(fs, flags, attributes) CALL(432, fs, flags, attributes)
#define sys_pidfd_open(pid, flags) CALL(434, pid, flags)
#define sys_clone3(args, size) CALL(435, args, size)
#define sys_close_range(first, last, flags) CALL(436, first, last, flags)
#define sys_openat2(dir, path, how) CALL(437, dir, path, how, sizeof(struct open_how))
#define sys_faccessat2(dir, path, mode, flags) CALL(439, dir, path, mode, flags)
#define sys_mount_setattr(fd, path, flags, attr) CALL(442, fd, path, flags, attr, sizeof(struct mount_attr))
#define sys_mount(source, target, type, flags, data) CALL(SYS_mount, source, target, type, flags, data)
#define sys_umount2(target, flags) CALL(SYS_umount2, target, flags)
#define sys_pivot_root(new_root, put_old) CALL(SYS_pivot_root, new_root, put_old)

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

/* How the generated dispatch reads arguments. */
static inline int fd_of(const struct launch *l, uint64_t slot)
{
    return slot == NO_SLOT ? NO_FD : slot < l->plan->slots ? l->fd[slot] : -1;
}
static inline const char *text_at(const struct launch *l, uint64_t at)
{
    return (const char *)l->plan + at;
}
static inline struct bytes bytes_at(const struct launch *l, uint64_t at, size_t width)
{
    return (struct bytes){(const char *)l->plan + (uint32_t)at, (at >> 32) * width};
}
static inline struct texts texts_at(const struct launch *l, uint64_t at)
{
    return (struct texts){(char **)((char *)l->plan + (uint32_t)at), at >> 32};
}
static inline struct slots slots_at(const struct launch *l, uint64_t at)
{
    return (struct slots){(const uint64_t *)((const char *)l->plan + (uint32_t)at), at >> 32};
}

#include "ops.gen.h"

#endif
