/* corten @netns PROTOCOL: open a netlink socket inside another network namespace and hand it back.
 *
 * A socket belongs to the namespace in which it was opened, wherever it goes; but a multi-threaded engine cannot enter a
 * namespace for a moment. So it spawns this with the namespace on descriptor 3 and a socket on 4, over which the netlink
 * socket (PROTOCOL 0 = route, 12 = netfilter) comes back by SCM_RIGHTS beside one zero byte, or an errno in that byte. */
#include "corten.h"
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NAMESPACE_FD = 3, ANSWER_FD = 4 };

static int answer(int fd, char error)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof fd)];
    } control = {0};
    struct iovec part = {&error, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        *head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(head), &fd, sizeof fd);
    }
    return sendmsg(ANSWER_FD, &message, MSG_NOSIGNAL) == 1 && !error ? 0 : 1;
}

int netns_main(int argc, char **argv)
{
    int protocol = argc > 1 ? atoi(argv[1]) : 0;
    if (setns(NAMESPACE_FD, CLONE_NEWNET) < 0)
        return answer(-1, (char)errno);
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    return fd < 0 ? answer(-1, (char)errno) : answer(fd, 0);
}
