/* The verbs, each as it usually goes. An answer of -1 hands the verb to Python: before anything was changed, or after everything
 * was undone; what a failing row said goes with it, so that the error is the same one. */
#include "front.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum { NOT_OURS = -1, MAX_STATE = 65536 };

static struct container container;
static struct values values;
static struct launching launching;

static struct text text_of(const char *string)
{
    return (struct text){string, strlen(string)};
}

static uint32_t pipes(void)
{
    uint32_t bits = 0;
    struct stat st;
    for (int fd = 0; fd < 3; fd++)
        if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))
            bits |= 0x10u << fd;
    return bits;
}

static bool document_at(const char *directory, const char *name, struct text *document)
{
    static char bytes[MAX_DOCUMENT];
    char path[MAX_PATH];
    if (snprintf(path, sizeof path, "%s%s", directory, name) >= (int)sizeof path)
        return false;
    ssize_t size = read_at(AT_FDCWD, path, bytes, sizeof bytes);
    *document = (struct text){bytes, size > 0 ? (size_t)size : 0};
    return size > 0;
}

/* The bundle as an absolute path of plain characters: it goes into state.json as it is. */
static bool bundle_of(const struct words *w)
{
    static char path[MAX_PATH];
    const char *at = w->bundle ? w->bundle : ".";
    if (strcmp(at, ".") == 0)
        at = getcwd(path, sizeof path);
    values.text[V_BUNDLE] = at ? text_of(at) : (struct text){0};
    return at && is_plain(at, strlen(at), true);
}

static void number_into(int value, uint64_t number)
{
    static char text[HOLES][24];
    snprintf(text[value], sizeof *text, "%lu", number);
    values.text[value] = text_of(text[value]);
    values.number[value] = number;
}

/* Now, as RFC 3339 says it; the C library would look for a time zone. Days to a date as in the proleptic Gregorian calendar,
 * counted from 1 March of year 0, so that leap days are a year's last. */
static void tell_time(void)
{
    static char text[64];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    long days = now.tv_sec / 86400 + 719468, second = now.tv_sec % 86400;
    long era = days / 146097, day = days % 146097;
    long year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    long month = (5 * day + 2) / 153, date = day - (153 * month + 2) / 5 + 1;
    month += month < 10 ? 3 : -9;
    snprintf(text, sizeof text, "%04ld-%02ld-%02ldT%02ld:%02ld:%02ld.%09ldZ", year + era * 400 + (month <= 2), month, date,
             second / 3600, second / 60 % 60, second % 60, now.tv_nsec);
    values.text[V_CREATED] = text_of(text);
}

/* What the standard streams are, as JSON inside a JSON string. */
static bool tell_streams(void)
{
    static char text[3 * 300];
    size_t used = 0;
    for (int fd = 0; fd < 3; fd++) {
        char link[32], target[256];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t size = readlink(link, target, sizeof target - 1);
        target[size > 0 ? size : 0] = 0;
        if (size <= 0)
            snprintf(target, sizeof target, "/dev/null");
        for (const char *c = target; *c; c++)
            if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
                return false;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s\\\"%s\\\"%s", fd ? "," : "[", target, fd == 2 ? "]" : "");
    }
    values.text[V_STREAMS] = text_of(text);
    return true;
}

static void tell_process(uint64_t pid, uint64_t start, const char *status)
{
    number_into(V_PID, pid);
    number_into(V_START, start);
    values.text[V_STATUS] = text_of(status);
}

static bool write_state(const struct entry *e)
{
    static char state[MAX_STATE];
    ssize_t size = entry_render(e, &e->state, &values, state, sizeof state);
    return size > 0 && container_write(&container, "state.json", state, (size_t)size);
}

/* The record without the process yet; its strings are what `undo` goes by. */
static bool make_record(const struct entry *e)
{
    struct record *r = &container.record;
    ssize_t size = entry_render(e, &e->record, &values, r->text, sizeof r->text);
    r->flags = e->record_flags;
    r->values = e->record_values;
    r->size = size > 0 ? (uint32_t)size : 0;
    return size > 0 && record_index(&container);
}

/* The template of an exec is for this container from now on: it is looked for below its directory, under this key's name. */
static bool keep_exec_template(const struct entry *e, const struct handed *handed)
{
    char name[64];
    snprintf(name, sizeof name, "argv-%016lx.0", handed->key_name);
    return !e->exec.size || container_write(&container, name, (const char *)e + e->exec.at, e->exec.size);
}

/* Leave nothing of a container that did not come to be. */
static int undo(struct handed *handed)
{
    end_process(launching.pidfd);
    if (launching.pid > 0)
        waitpid(launching.pid, NULL, 0);
    cgroups_remove(&container);
    container_remove(&container);
    handed->message = (struct text){launching.message, launching.message_size};
    return NOT_OURS;
}

/* From an entry to a process that waits for its start. */
static bool bring_up(const struct words *w, const struct entry *e, const struct handed *handed)
{
    int fds[2][2], count = 0, listener = -1, console = -1;
    tell_process(0, 0, "creating");
    if ((e->console_fd && !w->console) || !make_record(e) || !container_write(&container, "config.json", handed->document.at, handed->document.size) ||
        !write_state(e) || symlinkat("state.json", container.dir, "status") < 0)
        return false;
    if (e->start_fd && (listener = fds[count][1] = listen_at(container.dir, "start.sock")) >= 0)
        fds[count++][0] = (int)e->start_fd;
    if (e->console_fd && (console = fds[count][1] = connect_to(w->console)) >= 0)
        fds[count++][0] = (int)e->console_fd;
    if ((e->start_fd && listener < 0) || (e->console_fd && console < 0))
        return false;
    int plan = entry_plan(e, &values);
    bool created = launch_spawn(&launching, plan, fds, (size_t)count) && launch_until(&launching, "created");
    for (int i = 0; i < count; i++)
        close(fds[i][1]);
    close(plan);
    if (!created)
        return false;
    container.record.pid = launching.pid;
    container.record.start = start_time_of(launching.pid);
    tell_process((uint64_t)launching.pid, container.record.start, "created");
    return container.record.start && write_state(e) && container_keep(&container) && keep_exec_template(e, handed) &&
           (!w->pid_file || write_pid_file(w->pid_file, launching.pid));
}

/* What is unusual at the end, Python cleans up; the exit code stays the container's. */
static void clean_up(const struct words *w)
{
    if (cgroups_remove(&container) && container_remove(&container))
        return;
    forward_end();
    pid_t pid = fork();
    if (pid == 0) {
        char *argv[] = {"corten-runtime", "--root", (char *)(w->root ? w->root : "/run/corten-runtime"),
                        "delete", "--force",  (char *)container.id, NULL};
        execv("/proc/self/exe", argv);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
}

static int run_program(const struct words *w, struct handed *handed)
{
    if (!w->detach)
        forward_begin();
    if (!launch_go(&launching) || !launch_until(&launching, ""))
        return undo(handed);
    if (w->detach)
        return 0;
    int code = forward_wait(&launching);
    if (!w->keep)
        clean_up(w);
    return code;
}

static int launch(const struct words *w, struct handed *handed)
{
    const struct entry *e;
    bool creates = strcmp(w->verb, "create") == 0;
    static char config[MAX_PATH];
    if (w->count != 1 || !bundle_of(w))
        return NOT_OURS;
    snprintf(config, sizeof config, "%s/", values.text[V_BUNDLE].at);
    if (!document_at(config, "config.json", &handed->document) || !key_make(&handed->key))
        return NOT_OURS;
    handed->options = (creates ? LISTENS : 0) | (w->console ? CONSOLE : 0) | (w->no_pivot ? NO_PIVOT : 0) |
                      (w->no_keyring ? NO_KEYRING : 0) | pipes();
    handed->name = entry_name(&handed->key, &handed->document);
    handed->key_name = entry_name(&handed->key, &(struct text){0});
    values.text[V_ID] = text_of(w->operands[0]);
    if (!entry_find(cache_directory(), "", handed->name, &handed->key, &handed->document, handed->options, &values, HOLES, &e))
        return NOT_OURS;
    if (!tell_streams() || !container_make(&container, w))
        return NOT_OURS;
    tell_time();
    if (!bring_up(w, e, handed) || !launch_go(&launching))
        return undo(handed);
    return creates ? 0 : run_program(w, handed);
}

/* One more process: the words of the command line, or a process document, below the container's own template. */
static int execute(const struct words *w, struct handed *handed)
{
    const struct entry *e;
    int fds[1][2], alive;
    const char *prefix = w->process ? "process-" : "argv-";
    if ((w->process ? w->count != 1 || !document_at("", w->process, &handed->document) : w->count < 2 || !*w->operands[1]) ||
        !key_make(&handed->key))
        return NOT_OURS;
    handed->options = EXEC | (w->console ? CONSOLE : 0) | pipes();
    handed->name = entry_name(&handed->key, &handed->document);
    if (!container_open(&container, w) || !container_alive(&container, &alive) || !container_thawed(&container) ||
        !entry_find(container.dir, prefix, handed->name, &handed->key, &handed->document, handed->options, &values,
                    DOCUMENT_HOLES, &e))
        return NOT_OURS;
    for (uint32_t i = 0; i < container.record.values; i++)
        values.text[i < 2 ? V_ID + i : HOLES + i - 2] = text_of(container.text[FIRST_VALUE + i]);
    tell_process((uint64_t)container.record.pid, container.record.start, "running");
    values.list = w->operands + 1;
    values.text[V_ARGV0] = w->count > 1 ? text_of(w->operands[1]) : (struct text){0};
    int plan = entry_plan(e, &values), console = w->console ? connect_to(w->console) : -1;
    fds[0][0] = (int)e->console_fd;
    fds[0][1] = console;
    if (plan < 0 || (e->console_fd && console < 0))
        return NOT_OURS;
    if (!w->detach)
        forward_begin();
    if (!launch_spawn(&launching, plan, fds, e->console_fd ? 1 : 0) || !launch_until(&launching, "")) {
        handed->message = (struct text){launching.message, launching.message_size};
        if (launching.pid > 0)
            waitpid(launching.pid, NULL, 0);
        return NOT_OURS;
    }
    close(console);
    if (w->pid_file && !write_pid_file(w->pid_file, launching.pid))
        fprintf(stderr, "corten-runtime: cannot write %s: %s\n", w->pid_file, strerror(errno));
    return w->detach ? 0 : forward_wait(&launching);
}

static int start(const struct words *w, struct handed *handed)
{
    int alive;
    if (w->count != 1 || !container_open(&container, w) || container.record.flags & HAS_HOOKS ||
        !container_alive(&container, &alive) || !container_awaits_start(&container))
        return NOT_OURS;
    launching = (struct launching){.control = connect_at(container.dir, "start.sock", SOCK_SEQPACKET)};
    if (launching.control < 0 || !launch_go(&launching))
        return NOT_OURS;
    unlinkat(container.dir, "start.sock", 0);
    if (launch_until(&launching, ""))
        return 0;
    handed->message = (struct text){launching.message, launching.message_size};
    return NOT_OURS;
}

static int signal_number(const char *text)
{
    static const struct {
        const char *name;
        int number;
    } names[] = {{"TERM", SIGTERM}, {"KILL", SIGKILL}, {"INT", SIGINT},   {"HUP", SIGHUP},   {"QUIT", SIGQUIT},
                 {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"STOP", SIGSTOP}, {"CONT", SIGCONT}, {"WINCH", SIGWINCH}};
    const char *name = strncmp(text, "SIG", 3) == 0 ? text + 3 : text;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].number;
    char *end;
    long number = strtol(text, &end, 10);
    return *text >= '1' && *text <= '9' && !*end && number < 65 ? (int)number : 0;
}

static int send_signal(const struct words *w)
{
    int number = w->count > 1 ? signal_number(w->operands[1]) : SIGTERM, pidfd;
    if (w->count > 2 || !number || !container_open(&container, w) || !container_alive(&container, &pidfd))
        return NOT_OURS;
    if (number == SIGKILL && !(container.record.flags & OWN_PIDS))
        return NOT_OURS;
    return syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) == 0 ? 0 : NOT_OURS;
}

static int remove_it(const struct words *w)
{
    int pidfd;
    if (w->count != 1 || !container_open(&container, w) || container.record.flags & HAS_HOOKS)
        return NOT_OURS;
    if (container_alive(&container, &pidfd)) {
        if ((!w->force && !container_awaits_start(&container)) || !container_thawed(&container))
            return NOT_OURS;
        end_process(pidfd);
    }
    return cgroups_remove(&container) && container_remove(&container) ? 0 : NOT_OURS;
}

static int tell_state(const struct words *w)
{
    int pidfd;
    if (w->count != 1 || !container_open(&container, w))
        return NOT_OURS;
    bool alive = container_alive(&container, &pidfd);
    const char *status = !alive ? "stopped" : container_awaits_start(&container) ? "created" : "running";
    if (alive && *status == 'r' && !container_thawed(&container))
        return NOT_OURS;
    int size = printf("%s%d%s%s%s", container.text[HEAD], alive ? container.record.pid : 0, container.text[MIDDLE], status,
                      container.text[TAIL]);
    return size > 0 && fflush(stdout) == 0 ? 0 : 1;
}

int verb_run(const struct words *w, struct handed *handed)
{
    if (strcmp(w->verb, "run") == 0 || strcmp(w->verb, "create") == 0)
        return launch(w, handed);
    if (strcmp(w->verb, "exec") == 0)
        return execute(w, handed);
    if (strcmp(w->verb, "start") == 0)
        return start(w, handed);
    if (strcmp(w->verb, "kill") == 0)
        return send_signal(w);
    if (strcmp(w->verb, "delete") == 0)
        return remove_it(w);
    return tell_state(w);
}
