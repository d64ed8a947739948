/* What a plan depends on beside its document: this program, this boot, who we are, what we may, where our cgroups are.
 *
 * The compiler sees all of it; an entry is used only where every byte of this text is the same as when it was compiled.
 * Python never writes it: it gets the text with the document, checks it against what it read itself, and stores it. */
#include "front.h"
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

static char buffer[MAX_KEY];
static size_t used;

ssize_t read_at(int dir, const char *name, void *into, size_t limit)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t size = 0;
    ssize_t got = 1;
    while (size < limit && (got = read(fd, (char *)into + size, limit - size)) > 0)
        size += (size_t)got;
    close(fd);
    return got < 0 || size == limit ? -1 : (ssize_t)size;
}

__attribute__((format(printf, 1, 2))) static void add(const char *format, ...)
{
    __builtin_va_list list;
    __builtin_va_start(list, format);
    int size = vsnprintf(buffer + used, sizeof buffer - used, format, list);
    __builtin_va_end(list);
    used += size > 0 ? (size_t)size : 0;
}

static bool add_file(const char *label, const char *path, bool must)
{
    static char content[MAX_KEY / 2];
    ssize_t size = read_at(AT_FDCWD, path, content, sizeof content);
    add("%s\n%.*s\n", label, size > 0 ? (int)size : 0, content);
    return size >= 0 || !must;
}

/* The program by its file: whoever replaces the package replaces it too. */
static bool add_program(void)
{
    struct stat st;
    if (stat("/proc/self/exe", &st) < 0)
        return false;
    add("program %lx %lx %lx %lx.%lx\n", (long)st.st_dev, (long)st.st_ino, (long)st.st_size, (long)st.st_mtim.tv_sec,
        (long)st.st_mtim.tv_nsec);
    return true;
}

static bool add_namespace(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return false;
    add("%s %lx:%lx\n", path, (long)st.st_dev, (long)st.st_ino);
    return true;
}

static bool add_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    uint64_t bounding = 0;
    if (syscall(SYS_capget, &header, data) < 0)
        return false;
    for (int number = 0, held; number < 64 && (held = prctl(PR_CAPBSET_READ, number, 0, 0, 0)) >= 0; number++)
        bounding |= (uint64_t)held << number;
    add("held %x%08x %x%08x %x%08x %lx\n", data[1].effective, data[0].effective, data[1].permitted, data[0].permitted,
        data[1].inheritable, data[0].inheritable, (long)bounding);
    return true;
}

static bool add_limits(void)
{
    uint64_t limit[2];
    add("limits");
    for (int resource = 0; resource < 16; resource++) {
        if (syscall(SYS_prlimit64, 0, resource, NULL, limit) < 0)
            return false;
        add(" %lu:%lu", limit[0], limit[1]);
    }
    add("\n");
    return true;
}

bool key_make(struct text *key)
{
    struct utsname name;
    used = 0;
    if (uname(&name) < 0)
        return false;
    add("machine %s\nuser %d %d\n", name.machine, geteuid(), getegid());
    bool told = add_program() && add_capabilities() && add_limits() && add_namespace("/proc/self/ns/user") &&
                add_namespace("/proc/self/ns/mnt") && add_namespace("/proc/self/ns/pid") &&
                add_namespace("/proc/self/ns/cgroup") && add_file("boot", "/proc/sys/kernel/random/boot_id", true) &&
                add_file("label", "/proc/self/attr/current", false) && add_file("cgroup", "/proc/self/cgroup", true);
    *key = (struct text){buffer, used};
    return told && used < sizeof buffer;
}
