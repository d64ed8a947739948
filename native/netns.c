/* corten @netns NAMESPACE ANSWER: open sockets inside another network namespace and hand them back.
 *
 * A socket belongs to the namespace in which it was opened, wherever it goes; but a multi-threaded engine cannot enter a
 * namespace for a moment. So it spawns this with two descriptors, the namespace and a socket to answer on. Over that come
 * by SCM_RIGHTS, beside one zero byte: the namespace again, a route and a netfilter netlink socket, a UDP and a TCP socket,
 * as a launch's checkpoint "network" carries them (kernel/netns.py); or an errno in that byte and nothing else. */
#include "corten.h"
#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PASSED = 5 };

static int answer(int to, const int *fds, char error)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(PASSED * sizeof *fds)];
    } control = {0};
    struct iovec part = {&error, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (!error) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_len = CMSG_LEN(PASSED * sizeof *fds);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        memcpy(CMSG_DATA(head), fds, PASSED * sizeof *fds);
    }
    return sendmsg(to, &message, MSG_NOSIGNAL) == 1 && !error ? 0 : 1;
}

int netns_main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    int namespace = atoi(argv[1]), to = atoi(argv[2]);
    if (setns(namespace, CLONE_NEWNET) < 0)
        return answer(to, NULL, (char)errno);
    int fds[PASSED] = {
        namespace,
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE),
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER),
        socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
        socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
    };
    for (int i = 0; i < PASSED; i++)
        if (fds[i] < 0)
            return answer(to, NULL, (char)errno);
    return answer(to, fds, 0);
}
