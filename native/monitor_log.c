/* The log, as Docker's json-file driver writes it, so that everything that reads Docker's log files reads ours:
 *
 *   {"log":"text\n","stream":"stdout","attrs":{...},"time":"2026-11-23T18:23:18.123456789Z"}
 *
 * One record per line of output. A line longer than 16 KiB becomes several records with the same time, of which only the last ends in \n; so does
 * an unfinished line at the end. Rotation as there too: when a record would start at or beyond max-size, FILE becomes FILE.1 and so on, up to max-file files;
 * with one file it is truncated. Escapes as Go's encoder has them: < > & and U+2028/9 escaped, bytes that are not UTF-8 become U+FFFD.
 *
 * A full disk loses lines but neither tears a record nor stops the container. */
#include "monitor.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The unfinished line of a stream. */
struct line {
    uint8_t text[IO_SIZE];
    size_t len;
    bool partial; /* its beginning was recorded already, at `at` */
    struct timespec at;
};

static struct line lines[2];
static char out[IO_SIZE];
static size_t used, begun; /* bytes in `out`; where in there the present record begins */
static uint64_t whole; /* size of the file after the last whole record */
static bool torn;      /* what stands behind `whole` is not a record */

void log_name(const struct log *l, uint32_t index, char *text, size_t size)
{
    if (index)
        snprintf(text, size, "%s.%u", l->name, (unsigned)index);
    else
        snprintf(text, size, "%s", l->name);
}

static int log_file(struct log *l, const char *name, int flags)
{
    return openat(l->dir, name, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | flags, 0640);
}

/* Open the log below l->dir; also again, when somebody has moved the file away. */
int log_open(struct log *l, const char *name, size_t len)
{
    struct stat st;
    if (len == 0 || len > sizeof l->name - 12 || memchr(name, '/', len) || memchr(name, 0, len))
        return -1;
    memmove(l->name, name, len);
    l->name[len] = 0;
    close_fd(&l->fd);
    l->fd = log_file(l, l->name, 0);
    if (l->fd < 0 || fstat(l->fd, &st) < 0)
        return -1;
    whole = l->size = (uint64_t)st.st_size;
    return 0;
}

/* Write the first `n` bytes of `out`; `complete` when they end with a whole record. */
static void flush(struct log *l, size_t n, bool complete)
{
    if (n && !torn && write(l->fd, out, n) != (ssize_t)n)
        torn = true;
    l->size += n;
    if (complete && !torn)
        whole = l->size;
    memmove(out, out + n, used - n);
    used -= n;
    begun = 0;
}

/* End of a batch of records. The file is asked for its size, for people truncate logs. */
static void settle(struct log *l)
{
    struct stat st;
    flush(l, used, true);
    if (torn && ftruncate(l->fd, (off_t)whole) < 0)
        return;
    torn = false;
    if (fstat(l->fd, &st) == 0)
        whole = l->size = (uint64_t)st.st_size;
}

static void put(struct log *l, const void *data, size_t n)
{
    for (size_t room; n; n -= room, data = (const char *)data + room) {
        if (used == sizeof out)
            flush(l, begun ? begun : used, begun > 0); /* whole records, for others read the file while it grows */
        room = sizeof out - used < n ? sizeof out - used : n;
        memcpy(out + used, data, room);
        used += room;
    }
}

#define PUT(l, literal) put(l, literal, sizeof literal - 1)

/* Length of the UTF-8 sequence at s, 0 when it is none (RFC 3629: no overlong forms, no surrogates, up to U+10FFFF). */
static size_t sequence(const uint8_t *s, size_t n)
{
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    size_t len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    uint8_t low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80, high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (n < len || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

static void put_escaped(struct log *l, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";
    char code[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    if (c == '\n')
        PUT(l, "\\n");
    else if (c == '\r')
        PUT(l, "\\r");
    else if (c == '"')
        PUT(l, "\\\"");
    else if (c == '\\')
        PUT(l, "\\\\");
    else
        put(l, code, sizeof code);
}

static bool plain(uint8_t c)
{
    return c >= ' ' && c < 0x80 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
}

static void put_text(struct log *l, const uint8_t *s, size_t n)
{
    for (size_t i = 0, run; i < n; i += run) {
        for (run = 0; i + run < n && plain(s[i + run]); run++)
            ;
        if (run) {
            put(l, s + i, run);
        } else if (s[i] < 0x80) {
            put_escaped(l, s[i]);
            run = 1;
        } else if (!(run = sequence(s + i, n - i))) {
            PUT(l, "\\ufffd");
            run = 1;
        } else if (run == 3 && s[i] == 0xe2 && s[i + 1] == 0x80 && (s[i + 2] | 1) == 0xa9) {
            put(l, s[i + 2] == 0xa8 ? "\\u2028" : "\\u2029", 6);
        } else {
            put(l, s + i, run);
        }
    }
}

/* RFC 3339 in UTC with the fraction's trailing zeros cut, as Go's RFC3339Nano. Not gmtime: the C library would look for a time zone file. */
static void put_time(struct log *l, struct timespec t)
{
    long days = t.tv_sec / 86400, second = t.tv_sec % 86400;
    long shifted = days + 719468, era = shifted / 146097, doe = shifted % 146097; /* days from 0000-03-01, in 400-year eras */
    long yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    long mp = (5 * doy + 2) / 153, day = doy - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;
    char text[80];
    int n = snprintf(text, sizeof text, "%04ld-%02ld-%02ldT%02ld:%02ld:%02ld.%09ld", yoe + era * 400 + (month <= 2), month, day,
                     second / 3600, second / 60 % 60, second % 60, t.tv_nsec);
    while (text[n - 1] == '0')
        n--;
    n -= text[n - 1] == '.';
    put(l, text, (size_t)n);
}

/* The new file comes first: on a full disk there is none, and then the old ones must stay where they are. */
static void rotate(struct log *l)
{
    char from[sizeof l->name + 12], to[sizeof l->name + 12];
    if (l->max_file > 1) {
        snprintf(to, sizeof to, "%s.new", l->name);
        int fd = log_file(l, to, O_TRUNC);
        if (fd < 0)
            return; /* better a log that is too long than none */
        for (uint32_t i = l->max_file - 1; i > 0; i--) {
            log_name(l, i - 1, from, sizeof from);
            log_name(l, i, to, sizeof to);
            renameat(l->dir, from, l->dir, to);
        }
        snprintf(from, sizeof from, "%s.new", l->name);
        renameat(l->dir, from, l->dir, l->name);
        close_fd(&l->fd);
        l->fd = fd;
    } else if (ftruncate(l->fd, 0) < 0) {
        return;
    }
    whole = l->size = 0;
    l->generation++;
}

static void record(struct log *l, int stream, const uint8_t *text, size_t n, bool newline, struct timespec at)
{
    if (l->max_size && l->size + used >= l->max_size) {
        settle(l);
        rotate(l);
    }
    begun = used;
    PUT(l, "{\"log\":\"");
    put_text(l, text, n);
    if (newline)
        PUT(l, "\\n");
    put(l, stream ? "\",\"stream\":\"stderr\"" : "\",\"stream\":\"stdout\"", 19);
    if (l->attrs_len) {
        PUT(l, ",\"attrs\":");
        put(l, l->attrs, l->attrs_len);
    }
    PUT(l, ",\"time\":\"");
    put_time(l, at);
    PUT(l, "Z\"}\n");
}

/* Record the unfinished line followed by `n` bytes. */
static void line_record(struct log *l, int stream, const uint8_t *data, size_t n, bool newline)
{
    struct line *line = &lines[stream];
    if (!line->partial)
        clock_gettime(CLOCK_REALTIME, &line->at);
    if (line->len) { /* in one piece, for a character may lie on the seam */
        memcpy(line->text + line->len, data, n);
        data = line->text;
        n += line->len;
    }
    record(l, stream, data, n, newline, line->at);
    line->len = 0;
    line->partial = !newline;
}

void log_feed(struct log *l, int stream, const uint8_t *data, size_t n)
{
    struct line *line = &lines[stream];
    if (l->fd < 0)
        return;
    while (n) {
        size_t room = sizeof line->text - line->len, part = n < room ? n : room;
        const uint8_t *end = memchr(data, '\n', part);
        if (end) {
            line_record(l, stream, data, (size_t)(end - data), true);
            part = (size_t)(end - data) + 1;
        } else if (part == room) {
            line_record(l, stream, data, part, false);
        } else {
            memcpy(line->text + line->len, data, part);
            line->len += part;
        }
        data += part;
        n -= part;
    }
    settle(l);
}

void log_finish(struct log *l)
{
    for (int stream = 0; l->fd >= 0 && stream < 2; stream++)
        if (lines[stream].len)
            line_record(l, stream, lines[stream].text, 0, false);
    if (l->fd >= 0)
        settle(l);
}

/* The beginning of a line that the log does not hold yet. */
const uint8_t *log_pending(int stream, size_t *n)
{
    *n = lines[stream].len;
    return lines[stream].text;
}
