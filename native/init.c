/* corten @init [-g] -- PROGRAM ARGUMENT...: the first process of a container that wants one (`run --init`).
 *
 * It starts the program as its only child, forwards the signals it gets to it (to its whole process group with -g), reaps
 * every process that is orphaned to it, and exits as the program did: its code, or 128 + the signal. */
#include "corten.h"
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* Signals that a fault of ours raises, and those that only concern the terminal's job control of ourselves. */
static bool is_forwarded(int signal)
{
    static const int ours[] = {SIGCHLD, SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (ours[i] == signal)
            return false;
    return true;
}

/* In the child: a group of its own, in the terminal's foreground if there is one, the signal mask as we found it. */
static void become(char **argv, const sigset_t *mask)
{
    setpgid(0, 0);
    signal(SIGTTOU, SIG_IGN);
    tcsetpgrp(STDIN_FILENO, getpid());
    signal(SIGTTOU, SIG_DFL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(argv[0], argv);
    int error = errno;
    fprintf(stderr, "corten-init: cannot execute %s: %s\n", argv[0], strerror(error));
    _exit(error == ENOENT ? 127 : 126);
}

/* Reap whatever has ended; the exit code once the program itself has, else -1. */
static int reap(pid_t program)
{
    int status, code = -1;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        if (pid == program)
            code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return code;
}

int init_main(int argc, char **argv)
{
    bool group = argc > 1 && strcmp(argv[1], "-g") == 0;
    argv += group ? 2 : 1;
    if (*argv && strcmp(*argv, "--") == 0)
        argv++;
    if (!*argv) {
        fprintf(stderr, "corten-init: name a program to start\n");
        return 125;
    }
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t program = fork();
    if (program == 0)
        become(argv, &before);
    if (program < 0) {
        fprintf(stderr, "corten-init: cannot start a process: %s\n", strerror(errno));
        return 125;
    }
    setpgid(program, program); /* as it does itself: a signal that comes at once must find the group */
    for (;;) {
        int got = sigwaitinfo(&all, NULL);
        if (got == SIGCHLD) {
            int code = reap(program);
            if (code >= 0)
                return code;
        } else if (got > 0 && is_forwarded(got)) {
            kill(group ? -program : program, got);
        }
    }
}
