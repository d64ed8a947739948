/* The control socket: what the two halves tell the controller, and its word to go on. docs/plan.md has the messages.
 *
 * Only one half runs at a time (launch.c), so both may use the same socket. Messages without descriptors go by write(2), the
 * call that a seccomp filter is least likely to forbid. */
#include "launch.h"
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { MAX_FDS = 8 };

struct message {
    uint16_t type, row;
    int32_t error;
    uint32_t pid;
    char text[MAX_TEXT];
};

static size_t fill(struct message *m, const struct launch *l, uint16_t type, const char *text)
{
    size_t length = strnlen(text, MAX_TEXT - 1);
    *m = (struct message){.type = type, .row = (uint16_t)l->row, .pid = (uint32_t)l->child};
    memcpy(m->text, text, length);
    return offsetof(struct message, text) + length + 1;
}

static int send_fds(int socket, const void *data, size_t size, const int *fds, size_t count)
{
    if (count == 0)
        return (int)write(socket, data, size);
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * MAX_FDS)];
    } control = {0};
    struct iovec part = {(void *)data, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int) * count), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(head), fds, sizeof(int) * count);
    return (int)sendmsg(socket, &message, MSG_NOSIGNAL);
}

/* Wait for the controller's word. When it is gone or says no, this launch is over: there is nobody to report to. */
static int await_go(struct launch *l)
{
    struct message answer;
    ssize_t size = TRY(recv(l->control, &answer, sizeof answer, 0));
    if (size < (ssize_t)offsetof(struct message, text) || answer.type != MSG_GO)
        _exit(1);
    return 0;
}

void tell_error(struct launch *l, int error)
{
    struct message m;
    char text[MAX_TEXT + 64];
    snprintf(text, sizeof text, "%s%s%s", l->what ? l->what : "", l->detail[0] ? ": " : "", l->detail);
    size_t size = fill(&m, l, MSG_ERROR, text);
    m.error = error;
    if (write(l->control, &m, size) < 0)
        _exit(1);
}

void tell_trace(struct launch *l, uint32_t nanoseconds)
{
    struct message m;
    size_t size = fill(&m, l, MSG_TRACE, "");
    m.pid = nanoseconds;
    if (write(l->control, &m, size) < 0)
        _exit(1);
}

int op_report(struct launch *l, int pidfd, int file)
{
    struct message m;
    size_t size = fill(&m, l, MSG_STARTED, "");
    TRY(send_fds(l->control, &m, size, &pidfd, 1));
    if (file == NO_FD)
        return 0;
    char text[16];
    int length = snprintf(text, sizeof text, "%d", l->child);
    TRY(write(file, text, (size_t)length));
    return 0;
}

int op_checkpoint(struct launch *l, const char *name, struct slots slots)
{
    struct message m;
    int fds[MAX_FDS];
    if (slots.count > MAX_FDS)
        return -E2BIG;
    for (size_t i = 0; i < slots.count; i++)
        fds[i] = fd_of(l, slots.at[i]);
    size_t size = fill(&m, l, MSG_CHECKPOINT, name);
    TRY(send_fds(l->control, &m, size, fds, slots.count));
    return await_go(l);
}

int op_await_start(struct launch *l, int listener)
{
    if (listener == NO_FD)
        return await_go(l);
    /* The controller of `create` has gone or goes now; whoever connects is the controller from here on. */
    close(l->control);
    l->control = TRY(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    return await_go(l);
}

int op_send_fd(struct launch *l, int socket, int fd, const char *text)
{
    TRY(send_fds(socket, text, strlen(text), &fd, 1));
    return 0;
}
