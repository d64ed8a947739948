/* The nouns of `corten @untar`: an archive that is read from stdin, and its members one by one (untar_archive.c); the directories
 * below a root that they go into (untar_directory.c); what is made of each, and the talk with the engine (untar.c). Whatever goes
 * wrong ends the process by `refuse`, which tells the engine. */
#ifndef UNTAR_H
#define UNTAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* What the engine makes of a refusal: its error kinds (layers/apply.py). */
enum { INVALID = 'I', UNIMPLEMENTED = 'U', EXHAUSTED = 'R', DENIED = 'P' };

enum { REGULAR = '0', HARDLINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO };

struct attribute {
    char *name; /* ended by NUL */
    const char *value;
    size_t size;
};

/* One entry, checked, with its extension headers applied. Its texts are valid until the next one is read. */
struct member {
    char *name, *link;
    char type;
    mode_t mode;
    uint64_t uid, gid, size, major, minor;
    struct timespec modified;
    struct attribute *attributes;
    size_t attribute_count;
};

/* The next entry, after skipping what was left of the last one's data; false at the archive's end. */
bool next_member(struct member *member);
/* Write the data of the entry that was read last to `fd`; false, with errno set, when that fails. */
bool copy_data(int fd);
/* Read to the end of the stream: whoever writes it counts and hashes all of it. */
void drain(void);

/* What all parts know of the layer that is unpacked. */
struct extraction {
    int root;
    bool overlay;       /* deletions are marked as overlayfs does; else lower layers lie in the same tree */
    const char *opaque; /* the xattr of a directory that hides what lower layers have in it */
    const char *name;   /* of the member under way, for messages */
};
extern struct extraction it;

/* An archive's name as a path below the root: no leading slash, no ".", no ".."; "" is the root. `to` holds PATH_MAX bytes. */
const char *clean(char *to, const char *name);
/* Split a clean path into its directory, in `parent`, and its last name. */
const char *split(const char *path, char *parent);
/* The handle of a directory, made where the archive only implies it; valid until the next call, or until something is removed. */
int directory(const char *path);
/* Whether what is created in that directory takes its group, whatever we are (a setgid directory). */
bool gives_group(void);
/* The same as a handle of the caller's own. */
int walk(const char *path);
/* openat2(2) below the root; no way leads out of it. */
int open_below(const char *path, uint64_t flags, uint64_t resolve);
/* In a plain tree: which paths this layer made, and with them their parents. */
void remember(const char *path);
bool is_remembered(const char *path);
/* Whether overlayfs reads this file of an upper directory as a deletion; hide what lower layers have in a directory. */
struct stat;
bool is_whiteout(const struct stat *found);
void mark_opaque(int fd);
/* Remove whatever `name` is, with everything below. */
void remove_tree(int parent, const char *name);
/* Make place: what an earlier member, or a lower layer, put there goes. Returns the directory's handle to go on with. */
int cleared(const char *parent, const char *name);

/* A system call that must not fail: TRY(mkdirat(...)). */
#define TRY(call) ((call) < 0 ? failed() : (void)0)
_Noreturn void failed(void);

/* End the process, saying what is wrong at `name` (NULL for the archive as a whole). */
_Noreturn void refuse(char kind, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
void *allocate(void *old, size_t size);
/* A copy of a text. */
char *kept(const char *text);

#endif
