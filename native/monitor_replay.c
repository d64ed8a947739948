/* The log read back for a client that attaches with logs=1.
 *
 * It reads the very records that monitor_log.c writes, from the oldest file to the point where the log stood when the client attached; what comes
 * later waits in the client's backlog. So nothing is missing and nothing comes twice, which an engine reading the file beside a
 * live stream cannot promise. */
#include "monitor.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The longest record: every byte of a full line as \u00XX, and the attributes, of which map_attrs takes 1 MiB. Untouched pages cost
 * nothing. */
static uint8_t text[6 * IO_SIZE + (1 << 20) + 1024];

enum { USUAL = 4096 };

static bool replay_open(struct client *c, uint32_t generation)
{
    char name[sizeof container_log.name + 12];
    log_name(&container_log, container_log.generation - generation, name, sizeof name);
    close_fd(&c->replay.fd);
    c->replay.fd = openat(container_log.dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    c->replay.offset = 0;
    c->replay.sent = 0;
    c->replay.generation = generation;
    return c->replay.fd >= 0;
}

/* How many rotated files there are. */
static uint32_t rotated(void)
{
    char name[sizeof container_log.name + 12];
    struct stat st;
    uint32_t n = 0;
    for (; n + 1 < container_log.max_file; n++) {
        log_name(&container_log, n + 1, name, sizeof name);
        if (fstatat(container_log.dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            break;
    }
    return n;
}

void replay_begin(struct client *c)
{
    if (container_log.fd < 0)
        return;
    c->replay.last = container_log.generation;
    c->replay.end = (off_t)container_log.size;
    replay_open(c, container_log.generation - rotated());
    for (int stream = 0; stream < 2 && c->replay.fd >= 0; stream++) {
        size_t n;
        const uint8_t *pending = log_pending(stream, &n);
        client_queue(c, stream, pending, n);
    }
}

static unsigned hex4(const uint8_t *s)
{
    unsigned v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 4 | (s[i] <= '9' ? s[i] - '0' : (s[i] | 32) - 'a' + 10);
    return v;
}

/* Undo one escape at `s`; how many bytes it has. Ours are \uXXXX below U+0080, U+2028/9 and U+FFFD. */
static size_t unescape(const uint8_t *s, uint8_t **to)
{
    unsigned c = s[1] == 'u' ? hex4(s + 2) : s[1] == 'n' ? '\n' : s[1] == 'r' ? '\r' : s[1];
    if (c < 0x80) {
        *(*to)++ = (uint8_t)c;
    } else {
        *(*to)++ = (uint8_t)(0xe0 | (c >> 12 & 15));
        *(*to)++ = (uint8_t)(0x80 | (c >> 6 & 63));
        *(*to)++ = (uint8_t)(0x80 | (c & 63));
    }
    return s[1] == 'u' ? 6 : 2;
}

/* Send the record in text[0, n), or what is left of it; what is not one of ours is skipped. Decoding never grows it, so it happens in place. */
static bool replay_record(struct client *c, size_t n)
{
    static const char head[] = "{\"log\":\"", tail[] = "\",\"stream\":\"std";
    uint8_t *to = text, *s = text + sizeof head - 1, *end = text + n;
    if (n < sizeof head - 1 || memcmp(text, head, sizeof head - 1) != 0)
        return true;
    while (s < end && *s != '"') {
        if (*s != '\\')
            *to++ = *s++;
        else if (end - s >= 6)
            s += unescape(s, &to);
        else
            return true;
    }
    if (end - s <= (long)sizeof tail || memcmp(s, tail, sizeof tail - 1) != 0)
        return true;
    return client_frame(c, s[sizeof tail - 1] == 'e', text, (size_t)(to - text), &c->replay.sent);
}

/* One record; false when the socket takes no more. At the end the client goes over to its backlog. */
bool replay_step(struct client *c)
{
    struct replay *r = &c->replay;
    size_t limit = sizeof text;
    if (r->generation == r->last && r->end - r->offset < (off_t)limit)
        limit = r->end > r->offset ? (size_t)(r->end - r->offset) : 0;
    size_t part = limit < USUAL ? limit : USUAL;
    ssize_t n = part ? pread(r->fd, text, part, r->offset) : 0;
    uint8_t *end = n > 0 ? memchr(text, '\n', (size_t)n) : 0;
    if (!end && n == (ssize_t)part && part < limit) { /* a long record: all of it */
        n = pread(r->fd, text, limit, r->offset);
        end = n > 0 ? memchr(text, '\n', (size_t)n) : 0;
    }
    if (end) {
        if (!replay_record(c, (size_t)(end - text)))
            return false;
        r->offset += end - text + 1;
        r->sent = 0;
        return true;
    }
    while (r->generation != r->last)
        if (replay_open(c, r->generation + 1))
            return true; /* a file that was rotated away in the meantime is skipped */
    close_fd(&r->fd);
    return true;
}
