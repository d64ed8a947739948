/* Tar archives from stdin: ustar, PAX and GNU's long names. The format is drawn in src/corten/wire/tar.py, whose checks these
 * are too: everything here may be hostile, no size is believed until its bytes have come, and what is held in memory is bounded. */
#include "untar.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 512, NUMBER_LIMIT_BITS = 60, EXTENSION_LIMIT = 1 << 20, EXTENSION_CHAIN = 8, MOST_ATTRIBUTES = 1024 };

struct header {
    unsigned char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6], version[2];
    unsigned char uname[32], gname[32], major[8], minor[8], prefix[155], unused[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

/* What the extension headers before an entry say; the texts lie in `held`. */
static struct {
    char *held[EXTENSION_CHAIN], *path, *link, *size, *uid, *gid, *mtime;
    size_t path_size, link_size;
    int chain;
    bool sparse;
    struct attribute attributes[MOST_ATTRIBUTES];
    size_t attribute_count;
} extra;

static char buffer[1 << 20], last_name[4096 + 1], last_link[101], long_name[257];
static size_t at, end;
static uint64_t left; /* of the last entry's data and padding */
static uint64_t data_left;

static bool fill(void)
{
    ssize_t got;
    do
        got = read(STDIN_FILENO, buffer, sizeof buffer);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        refuse(INVALID, NULL, "reading the archive: %s", strerror(errno));
    at = 0, end = (size_t)got;
    return got > 0;
}

/* Up to `size` bytes; fewer only where the stream ends. */
static size_t take(void *to, size_t size)
{
    size_t have = 0;
    while (have < size && (at < end || fill())) {
        size_t part = end - at < size - have ? end - at : size - have;
        memcpy((char *)to + have, buffer + at, part);
        at += part, have += part;
    }
    return have;
}

static void skip(uint64_t size)
{
    while (size) {
        if (at == end && !fill())
            refuse(INVALID, last_name, "truncated tar: an entry is longer than the archive");
        size_t part = end - at < size ? end - at : (size_t)size;
        at += part, size -= part;
    }
}

bool copy_data(int fd)
{
    while (data_left) {
        if (at == end && !fill())
            refuse(INVALID, last_name, "truncated tar: an entry is longer than the archive");
        size_t part = end - at < data_left ? end - at : (size_t)data_left;
        ssize_t written = write(fd, buffer + at, part);
        if (written < 0 && errno != EINTR)
            return false;
        part = written < 0 ? 0 : (size_t)written;
        at += part, data_left -= part, left -= part;
    }
    return true;
}

void drain(void)
{
    while (fill())
        ;
}

static uint64_t padding(uint64_t size) { return -size % BLOCK; }

/* A number field, octal text or GNU's base-256; never negative unless `negative` allows it. */
static int64_t number(const unsigned char *field, size_t size, bool negative)
{
    __int128 value = 0;
    if (field[0] & 0x80) {
        value = field[0] & 0x7f;
        for (size_t i = 1; i < size; i++)
            value = value << 8 | field[i];
        if (field[0] == 0xff)
            value -= (__int128)1 << (8 * size - 1);
    } else {
        size_t i = 0;
        while (size && (field[size - 1] == 0 || field[size - 1] == ' '))
            size--;
        while (i < size && field[i] == ' ')
            i++;
        for (; i < size; i++) {
            if (field[i] < '0' || field[i] > '7')
                refuse(INVALID, last_name, "damaged tar after it: a number is none");
            value = value << 3 | (field[i] - '0');
        }
    }
    const __int128 limit = (__int128)1 << NUMBER_LIMIT_BITS;
    if (value > limit || value < (negative ? -limit : 0))
        refuse(INVALID, last_name, "hostile tar after it: a number is out of bounds");
    return (int64_t)value;
}

static void check_sum(const struct header *header)
{
    const unsigned char *bytes = (const unsigned char *)header;
    unsigned sum = 0;
    for (size_t i = 0; i < BLOCK; i++)
        sum += bytes[i];
    for (size_t i = 0; i < sizeof header->checksum; i++)
        sum += ' ' - header->checksum[i];
    if (sum != number(header->checksum, sizeof header->checksum, false))
        refuse(INVALID, last_name, "damaged tar after it: wrong header checksum");
}

static bool is_empty(const struct header *header)
{
    static const char zeros[BLOCK];
    return memcmp(header, zeros, BLOCK) == 0;
}

/* The decimal number of a PAX record. */
static uint64_t decimal(const char *text, const char *key)
{
    size_t digits = strspn(text, "0123456789");
    uint64_t value = digits && digits <= 19 && !text[digits] ? strtoull(text, NULL, 10) : UINT64_MAX;
    if (value > (uint64_t)1 << NUMBER_LIMIT_BITS)
        refuse(INVALID, last_name, "malformed PAX record %s after it", key);
    return value;
}

static struct timespec moment(const char *text)
{
    bool before = *text == '-';
    const char *whole = text + before;
    size_t digits = strspn(whole, "0123456789"), decimals = whole[digits] == '.' ? strspn(whole + digits + 1, "0123456789") : 0;
    const char *fraction = whole + digits + (whole[digits] == '.');
    if (!digits || digits > 18 || fraction[decimals])
        refuse(INVALID, last_name, "malformed PAX record mtime after it");
    struct timespec found = {.tv_sec = (time_t)strtoull(whole, NULL, 10)};
    for (size_t i = 0; i < 9; i++)
        found.tv_nsec = found.tv_nsec * 10 + (i < decimals ? fraction[i] - '0' : 0);
    if (before)
        found = (struct timespec){-found.tv_sec - (found.tv_nsec > 0), found.tv_nsec ? 1000000000 - found.tv_nsec : 0};
    return found;
}

static void attribute(char *name, char *value, size_t size)
{
    size_t i = 0;
    while (i < extra.attribute_count && strcmp(extra.attributes[i].name, name) != 0)
        i++;
    if (!size) { /* an empty value takes the record back (pax(1)) */
        if (i < extra.attribute_count)
            extra.attributes[i] = extra.attributes[--extra.attribute_count];
        return;
    }
    if (i == MOST_ATTRIBUTES)
        refuse(INVALID, last_name, "hostile tar after it: more than %d extended attributes", MOST_ATTRIBUTES);
    extra.attributes[i] = (struct attribute){name, value, size};
    extra.attribute_count += i == extra.attribute_count;
}

static void pax_record(char *key, char *value, size_t size)
{
    static const char xattr[] = "SCHILY.xattr.", sparse[] = "GNU.sparse.";
    char *said = size ? value : NULL;
    if (!strcmp(key, "path"))
        extra.path = said, extra.path_size = size;
    else if (!strcmp(key, "linkpath"))
        extra.link = said, extra.link_size = size;
    else if (!strcmp(key, "size"))
        extra.size = said;
    else if (!strcmp(key, "uid"))
        extra.uid = said;
    else if (!strcmp(key, "gid"))
        extra.gid = said;
    else if (!strcmp(key, "mtime"))
        extra.mtime = said;
    else if (!strncmp(key, xattr, sizeof xattr - 1))
        attribute(key + sizeof xattr - 1, value, size);
    else if (!strncmp(key, sparse, sizeof sparse - 1) && size)
        extra.sparse = true;
}

/* `"length key=value\n"` one after the other; each equals sign and newline becomes the end of a text. */
static void pax_records(char *data, size_t size)
{
    while (size) {
        size_t digits = 0, length = 0;
        for (; digits < size && digits < 19 && data[digits] >= '0' && data[digits] <= '9'; digits++)
            length = length * 10 + (size_t)(data[digits] - '0');
        char *key = data + digits + 1, *equals;
        if (!digits || digits == size || data[digits] != ' ' || length > size || length < digits + 4 || data[length - 1] != '\n' ||
            !(equals = memchr(key, '=', length - digits - 2)) || equals == key || memchr(key, 0, (size_t)(equals - key)))
            refuse(INVALID, last_name, "malformed PAX record after it");
        *equals = data[length - 1] = 0;
        pax_record(key, equals + 1, (size_t)(data + length - 1 - (equals + 1)));
        data += length, size -= length;
    }
}

static void read_extension(char type, uint64_t size)
{
    if (size > EXTENSION_LIMIT || extra.chain == EXTENSION_CHAIN)
        refuse(INVALID, last_name, "hostile tar after it: its extension headers are longer than any name");
    char *data = extra.held[extra.chain++] = allocate(NULL, size + 1);
    if (take(data, size) < size)
        refuse(INVALID, last_name, "truncated tar: an extension header is cut short");
    data[size] = 0;
    skip(padding(size));
    if (type == 'x')
        pax_records(data, size);
    else if (type == 'L')
        extra.path = data, extra.path_size = strlen(data);
    else if (type == 'K')
        extra.link = data, extra.link_size = strlen(data);
}

static void forget_extensions(void)
{
    for (int i = 0; i < extra.chain; i++)
        free(extra.held[i]);
    memset(&extra, 0, offsetof(__typeof__(extra), attributes));
    extra.attribute_count = 0;
}

static char *text(char *to, const unsigned char *field, size_t size)
{
    size_t length = strnlen((const char *)field, size);
    memcpy(to, field, length);
    to[length] = 0;
    return to;
}

static void read_header(struct member *member, const struct header *header)
{
    char *name = long_name;
    if (!memcmp(header->magic, "ustar", 6) && header->prefix[0]) {
        text(name, header->prefix, sizeof header->prefix);
        name += strlen(name);
        *name++ = '/';
    }
    text(name, header->name, sizeof header->name);
    bool device = header->type == CHARACTER || header->type == BLOCK_DEVICE;
    bool data = header->type == REGULAR || header->type == '7' || header->type == 0;
    *member = (struct member){
        .name = long_name,
        .link = text(last_link, header->link, sizeof header->link),
        .type = data ? REGULAR : (char)header->type,
        .mode = (mode_t)number(header->mode, sizeof header->mode, false) & 07777,
        .uid = (uint64_t)number(header->uid, sizeof header->uid, false),
        .gid = (uint64_t)number(header->gid, sizeof header->gid, false),
        .size = data ? (uint64_t)number(header->size, sizeof header->size, false) : 0,
        .major = device ? (uint64_t)number(header->major, sizeof header->major, false) : 0,
        .minor = device ? (uint64_t)number(header->minor, sizeof header->minor, false) : 0,
        .modified = {number(header->mtime, sizeof header->mtime, true), 0},
        .attributes = extra.attributes,
        .attribute_count = extra.attribute_count,
    };
}

static void extend(struct member *member)
{
    if (extra.path)
        member->name = extra.path;
    if (extra.link)
        member->link = extra.link;
    if (extra.size && member->type == REGULAR)
        member->size = decimal(extra.size, "size");
    if (extra.uid)
        member->uid = decimal(extra.uid, "uid");
    if (extra.gid)
        member->gid = decimal(extra.gid, "gid");
    if (extra.mtime)
        member->modified = moment(extra.mtime);
    if ((extra.path && strlen(extra.path) != extra.path_size) || (extra.link && strlen(extra.link) != extra.link_size))
        refuse(INVALID, member->name, "its name holds a NUL byte");
}

static void check(struct member *member)
{
    if (extra.sparse || member->type == 'S')
        refuse(UNIMPLEMENTED, member->name, "sparse files are not supported in layers");
    if (member->type < REGULAR || member->type > FIFO)
        refuse(INVALID, member->name, "unknown type 0x%02x", (unsigned char)member->type);
    size_t length = strlen(member->name);
    if (member->type == REGULAR && length && member->name[length - 1] == '/' && !member->size)
        member->type = DIRECTORY; /* as tars older than ustar wrote them */
}

bool next_member(struct member *member)
{
    struct header header;
    skip(left);
    left = data_left = 0;
    forget_extensions();
    for (size_t got; (got = take(&header, BLOCK));) {
        if (got < BLOCK)
            refuse(INVALID, last_name, "truncated tar after it: a header is cut short");
        if (is_empty(&header))
            return false;
        check_sum(&header);
        if (header.type && strchr("xgLK", header.type)) {
            read_extension((char)header.type, (uint64_t)number(header.size, sizeof header.size, false));
            continue;
        }
        read_header(member, &header);
        extend(member);
        check(member);
        data_left = member->size;
        left = member->size + padding(member->size);
        strncpy(last_name, member->name, sizeof last_name - 1);
        return true;
    }
    return false;
}
