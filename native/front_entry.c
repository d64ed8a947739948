/* The plan cache's reader: is this file ours, is it whole, does it speak of this document and this machine, and then: the plan
 * with the document's own strings in it. corten.runtime.plancache writes the entries and says what may be in one.
 *
 * An entry holds the document's bytes but for its *holes*: strings that callers fill in anew each time (an id, a path). Every
 * other byte is compared. What fills a hole must be of the plainest characters, and goes whole to one argument of a row:
 * nothing is ever put together from it. The launch program then checks the plan as it checks any other. */
#include "front.h"
#include "launch.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

enum { ENTRY_MAGIC = 0x4e454c50, ENTRY_VERSION = 1, VARIANTS = 8, MAX_WITNESS = 4096, MAX_ADDED = 16384, MAX_LIST = 1 << 17 };
enum { IDENTITY = 1, ABSOLUTE = 1, RELATIVE = 2, NO_PROC = 4, AS_TEXT = 0, AS_NUMBER = 1, AS_LIST = 2, NO_VALUE = 0xffff };

struct witness { /* a file of the host and what it said: its text, or which file it is */
    uint32_t kind, path, at, size;
};
struct hole { /* after so many bytes of the literal */
    uint32_t literal, flags, prefix, most;
};
struct patch { /* a word of the plan that becomes the place of a value */
    uint32_t at;
    uint16_t kind, value;
};
struct piece {
    uint32_t at, size, value;
};

int cache_directory(void)
{
    struct stat st;
    const char *path = getenv("CORTEN_PLAN_CACHE");
    int dir = open(path && *path ? path : "/run/corten-plans", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0 || (fstat(dir, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 077) == 0))
        return dir;
    close(dir);
    return -1;
}

/* Only what this very user wrote and nobody else can: a plain file with one name. */
static ssize_t load(int dir, const char *name, void *buffer)
{
    struct stat st;
    AUTO_CLOSE fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -1;
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) || st.st_nlink != 1 || st.st_size > MAX_ENTRY)
        return 0;
    return read(fd, buffer, MAX_ENTRY);
}

static uint32_t checksum_of(const uint8_t *at, size_t size) /* CRC-32, as zlib's */
{
    static uint32_t table[256];
    uint32_t crc = ~0u;
    for (uint32_t i = 0; i < 256 && !table[255]; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
        table[i] = c;
    }
    while (size--)
        crc = table[(crc ^ *at++) & 0xff] ^ crc >> 8;
    return ~crc;
}

static const void *items(const struct entry *e, const struct area *area)
{
    return (const char *)e + area->at;
}

static bool fits(const struct entry *e, uint32_t at, uint64_t count, size_t width)
{
    return at >= sizeof *e && at <= e->size - 1 && at % (width > 1 ? 4 : 1) == 0 && count * width <= e->size - 1 - at;
}

static bool witnesses_fit(const struct entry *e)
{
    const struct witness *w = items(e, &e->witnesses);
    for (uint32_t i = 0; i < e->witnesses.size; i++)
        if (w[i].path < sizeof *e || w[i].path >= e->size || w[i].kind > IDENTITY || !fits(e, w[i].at, w[i].size, 1))
            return false;
    return true;
}

static bool holes_fit(const struct entry *e)
{
    const struct hole *h = items(e, &e->holes);
    uint64_t literal = 0;
    for (uint32_t i = 0; i < e->holes.size; i++) {
        literal += h[i].literal;
        if (h[i].prefix < sizeof *e || h[i].prefix >= e->size || h[i].most > MAX_TEXT_SIZE)
            return false;
    }
    return literal <= e->literal.size && e->holes.size <= VALUES - DOCUMENT_HOLES;
}

static bool patches_fit(const struct entry *e)
{
    const struct patch *p = items(e, &e->patches);
    for (uint32_t i = 0; i < e->patches.size; i++)
        if (p[i].at % 8 || p[i].at < sizeof(struct plan) || (uint64_t)p[i].at + 8 > e->plan.size || p[i].kind > AS_LIST ||
            p[i].value >= (p[i].kind == AS_NUMBER ? HOLES : VALUES))
            return false;
    return true;
}

static bool pieces_fit(const struct entry *e, const struct area *area)
{
    const struct piece *p = items(e, area);
    for (uint32_t i = 0; i < area->size; i++)
        if (!fits(e, p[i].at, p[i].size, 1) || (p[i].value >= VALUES && p[i].value != NO_VALUE))
            return false;
    return true;
}

const char *entry_decode(const void *bytes, size_t size)
{
    const struct entry *e = bytes;
    if (size < sizeof *e + 1 || size > MAX_ENTRY || e->magic != ENTRY_MAGIC || e->version != ENTRY_VERSION || e->size != size)
        return "it is no entry of this version";
    const size_t skipped = offsetof(struct entry, wanted);
    if (e->checksum != checksum_of((const uint8_t *)bytes + skipped, size - skipped) || ((const char *)bytes)[size - 1])
        return "it is damaged";
    if (!fits(e, e->key.at, e->key.size, 1) || !fits(e, e->literal.at, e->literal.size, 1) || e->plan.at % 8 ||
        !fits(e, e->plan.at, e->plan.size, 1) || e->plan.size < sizeof(struct plan) || !fits(e, e->exec.at, e->exec.size, 1))
        return "an area lies outside";
    if (!fits(e, e->witnesses.at, e->witnesses.size, sizeof(struct witness)) || !witnesses_fit(e) ||
        !fits(e, e->holes.at, e->holes.size, sizeof(struct hole)) || !holes_fit(e))
        return "a witness or a hole is wrong";
    if (!fits(e, e->patches.at, e->patches.size, sizeof(struct patch)) || !patches_fit(e))
        return "a patch is wrong";
    if (!fits(e, e->state.at, e->state.size, sizeof(struct piece)) || !pieces_fit(e, &e->state) ||
        !fits(e, e->record.at, e->record.size, sizeof(struct piece)) || !pieces_fit(e, &e->record))
        return "a piece is wrong";
    return NULL;
}

/* `..`, `.` and an empty component would make a path mean something that the compiler did not see. */
static bool is_plain_path(const char *at, size_t size)
{
    for (size_t i = at[0] == '/', length; i <= size; i += length + 1) {
        for (length = 0; i + length < size && at[i + length] != '/';)
            length++;
        if (length == 0 || (at[i] == '.' && (length == 1 || (length == 2 && at[i + 1] == '.'))))
            return false;
    }
    return true;
}

static bool may_fill(const struct entry *e, const struct hole *h, const char *at, size_t size)
{
    const char *prefix = (const char *)e + h->prefix;
    if (size == 0 || size > h->most || strlen(prefix) > size || memcmp(at, prefix, strlen(prefix)) != 0)
        return false;
    if ((h->flags & ABSOLUTE && at[0] != '/') || (h->flags & RELATIVE && at[0] == '/'))
        return false;
    if (h->flags & NO_PROC && size >= 5 && memcmp(at, "/proc", 5) == 0)
        return false;
    return !(h->flags & (ABSOLUTE | RELATIVE)) || is_plain_path(at, size);
}

static size_t plain_length(const char *at, size_t size)
{
    size_t n = 0;
    while (n < size && ((at[n] >= '-' && at[n] <= ':') || (at[n] >= '@' && at[n] <= 'Z') || (at[n] >= 'a' && at[n] <= 'z') ||
                        at[n] == '_' || at[n] == '='))
        n++;
    return n;
}

bool is_plain(const char *at, size_t size, bool path)
{
    return size && size < MAX_TEXT_SIZE && plain_length(at, size) == size && (!path || (at[0] == '/' && is_plain_path(at, size)));
}

bool entry_match(const struct entry *e, const struct text *document, struct values *values, int first_hole)
{
    const struct hole *h = items(e, &e->holes);
    const char *literal = items(e, &e->literal), *at = document->at, *end = at + document->size;
    size_t left = e->literal.size;
    for (uint32_t i = 0; i < e->holes.size; i++) {
        if (h[i].literal > (size_t)(end - at) || memcmp(at, literal, h[i].literal) != 0)
            return false;
        literal += h[i].literal;
        left -= h[i].literal;
        at += h[i].literal;
        size_t size = plain_length(at, (size_t)(end - at));
        if (at + size == end || at[size] != '"' || !may_fill(e, &h[i], at, size))
            return false;
        values->text[first_hole + (int)i] = (struct text){at, size};
        at += size;
    }
    return left == (size_t)(end - at) && memcmp(at, literal, left) == 0;
}

static bool is_same_file(const char *path, const uint64_t *was)
{
    struct statx now;
    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_MNT_ID, &now) < 0)
        return false;
    uint64_t changed = (uint64_t)now.stx_mtime.tv_sec * 1000000000 + now.stx_mtime.tv_nsec;
    return was[0] == ((uint64_t)now.stx_dev_major << 32 | now.stx_dev_minor) && was[1] == now.stx_ino &&
           was[2] == now.stx_mnt_id && (!was[3] || (was[3] == changed && was[4] == now.stx_size));
}

static bool says_the_same(const char *path, const char *was, size_t size)
{
    char now[MAX_WITNESS];
    const char *space = " \t\r\n", *at = now;
    ssize_t got = read_at(AT_FDCWD, path, now, sizeof now);
    size_t length = got > 0 ? (size_t)got : 0;
    for (; length && strchr(space, at[length - 1]); length--)
        ;
    for (; length && strchr(space, *at); length--)
        at++;
    return length == size && memcmp(at, was, size) == 0;
}

static bool witnesses_agree(const struct entry *e)
{
    const struct witness *w = items(e, &e->witnesses);
    for (uint32_t i = 0; i < e->witnesses.size; i++) {
        const char *path = (const char *)e + w[i].path, *at = (const char *)e + w[i].at;
        uint64_t was[5];
        if (w[i].kind == IDENTITY && w[i].size == sizeof was)
            memcpy(was, at, sizeof was);
        if (w[i].kind == IDENTITY ? w[i].size != sizeof was || !is_same_file(path, was) : !says_the_same(path, at, w[i].size))
            return false;
    }
    return true;
}

/* A name by what has no strings in it: documents that differ in their strings alone share it, and are told apart by bytes. */
uint64_t entry_name(const struct text *key, const struct text *document)
{
    uint64_t hash = 0xcbf29ce484222325u;
    bool inside = false;
    for (size_t i = 0; i < key->size; i++)
        hash = (hash ^ (uint8_t)key->at[i]) * 0x100000001b3u;
    for (size_t i = 0; i < document->size; i++) {
        char c = document->at[i];
        if (inside && c == '\\')
            i++;
        else if (c == '"')
            inside = !inside;
        else if (!inside)
            hash = (hash ^ (uint8_t)c) * 0x100000001b3u;
    }
    return hash;
}

bool entry_find(int dir, const char *prefix, uint64_t hash, const struct text *key, const struct text *document,
                uint32_t options, struct values *values, int first_hole, const struct entry **found)
{
    static char bytes[MAX_ENTRY] __attribute__((aligned(8)));
    const struct entry *e = (const struct entry *)bytes;
    char name[64];
    for (int variant = 0; variant < VARIANTS; variant++) {
        snprintf(name, sizeof name, "%s%016lx.%d", prefix, hash, variant);
        ssize_t size = load(dir, name, bytes);
        if (size < 0)
            return false;
        if (entry_decode(bytes, (size_t)size) || (options & e->mask) != e->wanted || e->key.size != key->size ||
            memcmp(items(e, &e->key), key->at, key->size) != 0)
            continue;
        *found = e;
        if (entry_match(e, document, values, first_hole) && witnesses_agree(e))
            return true;
    }
    return false;
}

/* Where the values go that a plan takes: behind its own bytes, each once. */
struct addition {
    char bytes[MAX_LIST] __attribute__((aligned(8)));
    size_t size, start;
    uint64_t place[VALUES];
};

static uint64_t add_text(struct addition *a, const char *at, size_t size)
{
    if (a->size + size + 1 > sizeof a->bytes)
        return 0;
    memcpy(a->bytes + a->size, at, size);
    a->bytes[a->size + size] = 0;
    a->size += size + 1;
    return a->start + a->size - size - 1;
}

static uint64_t add_list(struct addition *a, char **list)
{
    uint64_t place[512], count = 0;
    for (; list && list[count] && count < 511; count++)
        if (!(place[count] = add_text(a, list[count], strlen(list[count]))))
            return 0;
    a->size = (a->size + 7) / 8 * 8;
    if (!count || list[count] || a->size + (count + 1) * 8 > sizeof a->bytes)
        return 0;
    place[count] = 0;
    memcpy(a->bytes + a->size, place, (count + 1) * 8);
    a->size += (count + 1) * 8;
    return (a->start + a->size - (count + 1) * 8) | count << 32;
}

static uint64_t value_for(struct addition *a, const struct patch *p, const struct values *values)
{
    if (p->kind == AS_NUMBER)
        return values->number[p->value];
    if (p->kind == AS_LIST)
        return add_list(a, values->list);
    if (!a->place[p->value] && values->text[p->value].at)
        a->place[p->value] = add_text(a, values->text[p->value].at, values->text[p->value].size);
    return a->place[p->value];
}

int entry_plan(const struct entry *e, const struct values *values)
{
    static struct addition added;
    char *plan = (char *)e + e->plan.at;
    const struct patch *p = items(e, &e->patches);
    added.size = 0;
    memset(added.place, 0, sizeof added.place);
    added.start = (e->plan.size + 7) / 8 * 8;
    for (uint32_t i = 0; i < e->patches.size; i++) {
        uint64_t word = value_for(&added, &p[i], values);
        if (!word)
            return -1;
        memcpy(plan + p[i].at, &word, sizeof word);
    }
    added.bytes[added.size++] = 0;
    uint32_t size = (uint32_t)(added.start + added.size);
    memcpy(plan + offsetof(struct plan, size), &size, sizeof size);
    static const char gap[8];
    struct iovec parts[] = {{plan, e->plan.size}, {(void *)gap, added.start - e->plan.size}, {added.bytes, added.size}};
    AUTO_CLOSE memory = memfd_create("plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory < 0 || writev(memory, parts, 3) != (ssize_t)size ||
        fcntl(memory, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -1;
    return keep_fd(&memory);
}

ssize_t entry_render(const struct entry *e, const struct area *pieces, const struct values *values, char *out, size_t limit)
{
    const struct piece *p = items(e, pieces);
    size_t size = 0;
    for (uint32_t i = 0; i < pieces->size; i++) {
        struct text value = p[i].value == NO_VALUE ? (struct text){0} : values->text[p[i].value];
        if ((p[i].value != NO_VALUE && !value.at) || p[i].size + value.size > limit - size)
            return -1;
        memcpy(out + size, (const char *)e + p[i].at, p[i].size);
        size += p[i].size;
        if (value.size)
            memcpy(out + size, value.at, value.size);
        size += value.size;
    }
    return (ssize_t)size;
}
