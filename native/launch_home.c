/* The user's home by the container's passwd file. The image is not to be trusted: the file is opened inside the root, must be
 * a plain one, and of a line only what fits counts. */
#include "launch.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { MAX_PASSWD = 1 << 20 };

/* name:password:uid:gid:comment:home:shell; where a field is missing the line says nothing. */
static bool home_in(const char *line, int64_t uid, char *home, size_t size)
{
    const char *field[6] = {line};
    for (int i = 1; i < 6; i++) {
        const char *colon = strchr(field[i - 1], ':');
        if (!colon)
            return false;
        field[i] = colon + 1;
    }
    char *end;
    bool same = field[2][0] >= '0' && field[2][0] <= '9' && strtoll(field[2], &end, 10) == uid && *end == ':';
    int length = (int)strcspn(field[5], ":\r\n");
    return same && length && snprintf(home, size, "HOME=%.*s", length, field[5]) < (int)size;
}

int op_find_home(struct launch *l, int64_t uid)
{
    char buffer[4096];
    struct stat st;
    AUTO_CLOSE fd = resolve_in(l, l->root, "/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY, false);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return 0; /* an image need not have one */
    size_t kept = 0;
    for (size_t total = 0; total < MAX_PASSWD;) {
        ssize_t size = read(fd, buffer + kept, sizeof buffer - 1 - kept);
        if (size <= 0)
            break;
        total += (size_t)size;
        buffer[kept + (size_t)size] = 0;
        char *line = buffer;
        for (char *end; (end = strchr(line, '\n')); line = end + 1) {
            *end = 0;
            if (home_in(line, uid, l->home, sizeof l->home))
                return 0;
        }
        kept = strlen(line);
        if (kept == sizeof buffer - 1)
            kept = 0; /* no line is that long: its rest is read as another one, which has too few fields or none of ours */
        memmove(buffer, line, kept);
    }
    buffer[kept] = 0;
    if (!home_in(buffer, uid, l->home, sizeof l->home))
        l->home[0] = 0;
    return 0;
}
