/* The command line's front end: find the interpreter that pip wrote into the sibling script `corten-python`,
 * and execute it isolated (-I) and without site (-S): 7 ms to the first line of Python instead of 17 to 30. */
#include "corten.h"
#include "front.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

/* The interpreter that one line names: behind `#!`, or, where that path is too long for the kernel or has a space in it, in what a
 * shell is told to execute: '''exec' "/a b/python" "$0" "$@". */
static char *named_interpreter(char *line)
{
    static const char relay[] = "'''exec' ";
    char *start = line, *end;
    if (strncmp(line, "#!", 2) == 0) {
        start += 2 + strspn(line + 2, " \t");
        end = start + strcspn(start, "\r\n");
    } else if (strncmp(line, relay, sizeof relay - 1) == 0) {
        start += sizeof relay - 1;
        char quote = *start == '"' || *start == '\'' ? *start++ : ' ';
        end = strchr(start, quote);
    } else {
        return 0;
    }
    if (!end)
        return 0;
    *end = 0;
    return start[0] == '/' ? start : 0;
}

/* Read which interpreter `script` is for into `out`. */
static int interpreter_of(const char *script, char *out, size_t size)
{
    FILE *f = fopen(script, "re");
    if (!f)
        return -1;
    char *found = fgets(out, (int)size, f) ? named_interpreter(out) : 0;
    if (found && strcmp(found, "/bin/sh") == 0)
        found = fgets(out, (int)size, f) ? named_interpreter(out) : 0;
    fclose(f);
    if (found)
        memmove(out, found, strlen(found) + 1);
    return found ? 0 : -1;
}

/* What was read, and what a failing row said, in a memfd: Python goes on with these very bytes. Its number goes with the
 * program's name, so that nothing of it is in the environment or among the words. */
static int hand_over(const struct handed *h)
{
    const struct {
        uint32_t magic, options, key, document, message, unused;
        uint64_t name, key_name;
    } head = {0x444e4148, h->options, (uint32_t)h->key.size, (uint32_t)h->document.size, (uint32_t)h->message.size, 0,
              h->name,    h->key_name};
    struct iovec parts[] = {{(void *)&head, sizeof head},
                            {(void *)h->key.at, h->key.size},
                            {(void *)h->document.at, h->document.size},
                            {(void *)h->message.at, h->message.size}};
    size_t size = sizeof head + h->key.size + h->document.size + h->message.size;
    int memory = memfd_create("corten-front", MFD_CLOEXEC);
    if (memory < 0 || writev(memory, parts, 4) != (ssize_t)size)
        return -1;
    return fcntl(memory, F_DUPFD, 100); /* not among the numbers that a caller may want preserved */
}

/* Do the verb, or say what Python shall be started as. */
static int without_python(int argc, char **argv, char *program, size_t size)
{
    struct words words;
    struct handed handed = {0};
    /* An ordinary user's containers, and what is handed on by the environment, are not usual. */
    if (geteuid() != 0 || getenv("LISTEN_FDS") || getenv("NOTIFY_SOCKET") || getenv("CORTEN_PROGRAM") ||
        !words_parse(&words, argc, argv))
        return -1;
    int code = verb_run(&words, &handed);
    if (code >= 0)
        return code;
    int memory = handed.key.size || handed.message.size ? hand_over(&handed) : -1;
    if (memory >= 0)
        snprintf(program, size, "corten-runtime@%d", memory);
    forward_end();
    return -1;
}

int front_main(int argc, char **argv, const char *name)
{
    char self[PATH_MAX], script[PATH_MAX + 16], python[PATH_MAX], program[64];
    snprintf(program, sizeof program, "%s", name);
    bool runtime = strcmp(name, "corten-runtime") == 0;
    int code = runtime ? without_python(argc, argv, program, sizeof program) : -1;
    if (code >= 0)
        return code;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0) {
        fprintf(stderr, "corten: cannot read /proc/self/exe: %s; is /proc mounted?\n", strerror(errno));
        return 125;
    }
    self[n] = 0;
    *strrchr(self, '/') = 0;
    snprintf(script, sizeof script, "%s/corten-python", self);
    if (interpreter_of(script, python, sizeof python) < 0) {
        fprintf(stderr, "corten: %s does not name a Python interpreter; reinstall with: pip install --force-reinstall corten\n", script);
        return 125;
    }
    char **args = calloc((size_t)argc + 6, sizeof *args);
    if (!args)
        return 125;
    int k = 0;
    args[k++] = python;
    args[k++] = "-ISXutf8"; /* UTF-8 whatever the locale is: nothing of it needs to be loaded */
    args[k++] = script;
    args[k++] = program;
    for (int i = 1; i < argc; i++)
        args[k++] = argv[i];
    execv(python, args);
    fprintf(stderr, "corten: cannot execute %s: %s\n", python, strerror(errno));
    return 125;
}
