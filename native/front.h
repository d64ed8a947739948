/* The command line's own nouns. `corten-runtime` does a verb by itself when everything about it is usual, which the compiler
 * in Python has then said beforehand: an entry of the plan cache (front_entry.c), or a container's record (front_state.c).
 *
 * A function that answers false means "this is not usual": nothing has been changed, and Python does the verb (front.c).
 * Nothing is allocated: what is larger than these limits is not usual either. */
#ifndef FRONT_H
#define FRONT_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { MAX_DOCUMENT = 1 << 20, MAX_ENTRY = 1 << 20, MAX_KEY = 8192, MAX_TEXTS = 96, MAX_TEXT_SIZE = 1024, MAX_PATH = 4096 };

struct text {
    const char *at;
    size_t size;
};

/* front_words.c: the words of the command line, by name; NULL is a flag that was not given. */
struct words {
    const char *root, *log, *bundle, *console, *pid_file, *process, *detach, *keep, *no_pivot, *no_keyring, *force, *ignored;
    const char *verb;
    char **operands; /* the id, then what belongs to the verb */
    int count;
};
bool words_parse(struct words *w, int argc, char **argv);

/* What a plan depends on beside the document and the key: bits that an entry wants set, clear or does not care about.
 * corten.runtime.plancache.key has the same numbers. */
enum { LISTENS = 1, CONSOLE = 2, NO_PIVOT = 4, NO_KEYRING = 8, PIPES = 0x70, EXEC = 128 };

/* front_key.c: what of the machine and of this process a plan depends on, as text; false when it cannot be told. */
bool key_make(struct text *key);
/* The whole of a small file, up to `limit` bytes; -1 when it cannot be read, is larger, or is none. */
ssize_t read_at(int dir, const char *name, void *buffer, size_t limit);

/* Values that a plan or a state file takes whole. Those of a container are kept in its record; DOCUMENT_HOLES are an exec's. */
enum { V_ID, V_BUNDLE, V_PID, V_START, V_STATUS, V_CREATED, V_STREAMS, V_ARGV0, V_ARGV, HOLES, DOCUMENT_HOLES = 48, VALUES = 96 };

struct values {
    struct text text[VALUES];
    uint64_t number[HOLES];
    char **list; /* V_ARGV */
};

/* front_entry.c: one entry of the cache, checked completely, and what it says. Every offset counts from the entry's start. */
struct area {
    uint32_t at, size; /* bytes, or the number of items */
};
struct entry {
    uint32_t magic, version, size, checksum, wanted, mask, start_fd, console_fd, record_flags, record_values;
    struct area key, literal, plan, exec, witnesses, holes, patches, state, record;
};
bool entry_find(int dir, const char *prefix, uint64_t hash, const struct text *key, const struct text *document, uint32_t options,
                struct values *values, int first_hole, const struct entry **found);
const char *entry_decode(const void *bytes, size_t size);
bool entry_match(const struct entry *e, const struct text *document, struct values *values, int first_hole);
/* A sealed memfd with the entry's plan in which the values stand; -1 when one has no value. */
int entry_plan(const struct entry *e, const struct values *values);
/* The pieces of a state file one after the other into `out`; their size, or -1. */
ssize_t entry_render(const struct entry *e, const struct area *pieces, const struct values *values, char *out, size_t limit);
int cache_directory(void);
uint64_t entry_name(const struct text *key, const struct text *document);
/* Of the characters that a hole takes, and as an absolute path without `.`, `..` and empty components. */
bool is_plain(const char *at, size_t size, bool path);

/* front_state.c: a container's directory, and the record of it that C reads back (corten.runtime.record writes the same). */
enum { OWN_PIDS = 1, HAS_HOOKS = 2, MAX_RECORD = 16384 };
enum { FREEZER, HEAD, MIDDLE, TAIL, FIRST_VALUE };
struct record {
    uint32_t magic, version, size, flags;
    int32_t pid;
    uint32_t values; /* so many of the strings from FIRST_VALUE on; the cgroup directories are behind them */
    uint64_t start;
    char text[MAX_RECORD]; /* strings one after the other; `size` counts them only */
};
struct container {
    int dir, root;
    const char *id;
    struct record record;
    const char *text[MAX_TEXTS];
    uint32_t texts;
};
bool container_open(struct container *c, const struct words *w);
bool container_make(struct container *c, const struct words *w);
bool container_write(const struct container *c, const char *name, const void *data, size_t size);
bool container_keep(struct container *c); /* write its record */
bool record_index(struct container *c);   /* find its strings; false when they are not as they should be */
bool container_remove(const struct container *c);
/* Whether its first process lives; `pidfd` is then a handle of it, verified by the start time. */
bool container_alive(const struct container *c, int *pidfd);
bool container_thawed(const struct container *c);
bool container_awaits_start(const struct container *c);
bool cgroups_remove(const struct container *c);
uint64_t start_time_of(pid_t pid);
bool write_pid_file(const char *path, pid_t pid);

/* front_launch.c: the controller of a launch whose plan has no rows for it. */
struct launching {
    int control, pidfd;
    pid_t pid, launcher;
    char message[512]; /* the ERROR that ended it */
    size_t message_size;
};
bool launch_spawn(struct launching *l, int plan, const int (*fds)[2], size_t count);
bool launch_until(struct launching *l, const char *checkpoint); /* "" is the program itself */
bool launch_go(const struct launching *l);
void end_process(int pidfd);
void forward_begin(void);
void forward_end(void); /* for whoever goes on in this process */
int forward_wait(const struct launching *l);
int connect_at(int dir, const char *name, int kind);
int connect_to(const char *path);
int listen_at(int dir, const char *name);

/* front_verbs.c: the exit code, or -1 when Python must do it; `handed` is then what it gets of what was read. */
struct handed {
    struct text key, document, message;
    uint32_t options;
    uint64_t name, key_name;
};
int verb_run(const struct words *w, struct handed *handed);

#endif
