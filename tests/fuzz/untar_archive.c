/* The tar reader of `corten @untar` under a fuzzer: whatever the bytes, it ends by a refusal or at the archive's end, and touches
 * nothing outside them. -DSTANDALONE gives a main that mutates the archives named on its command line for so many seconds. */
#include "../../native/untar_archive.c"
#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <sys/mman.h>

static jmp_buf refused;
static uint64_t touched, refusals;

_Noreturn void refuse(char kind, const char *name, const char *format, ...)
{
    touched += (uint64_t)kind + (name ? strlen(name) : 0) + strlen(format);
    refusals++;
    longjmp(refused, 1);
}

void *allocate(void *old, size_t size)
{
    void *memory = realloc(old, size);
    if (!memory)
        abort();
    return memory;
}

static void touch(const struct member *member)
{
    touched += strlen(member->name) + strlen(member->link) + member->uid + (uint64_t)member->modified.tv_sec;
    if (member->modified.tv_nsec < 0 || member->modified.tv_nsec > 999999999 || member->mode > 07777)
        abort();
    for (size_t i = 0; i < member->attribute_count; i++) {
        touched += strlen(member->attributes[i].name);
        for (size_t j = 0; j < member->attributes[i].size; j++)
            touched += (unsigned char)member->attributes[i].value[j];
    }
}

static void read_all(int sink)
{
    struct member member;
    while (next_member(&member)) {
        touch(&member);
        if (member.size % 2 && !copy_data(sink))
            abort();
    }
    drain();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int sink = -1;
    if (sink < 0)
        sink = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int memory = memfd_create("archive", MFD_CLOEXEC);
    if (write(memory, data, size) != (ssize_t)size || lseek(memory, 0, SEEK_SET) || dup2(memory, STDIN_FILENO) < 0)
        abort();
    close(memory);
    at = end = 0, left = data_left = 0, last_name[0] = 0;
    if (!setjmp(refused))
        read_all(sink);
    forget_extensions();
    return 0;
}

#ifdef STANDALONE
static uint64_t state = 88172645463325252ull;

static uint64_t random_number(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* A block's checksum made right again: else hardly any damage would be seen by more than the first check. */
static void seal(uint8_t *block)
{
    unsigned sum = 8 * ' ';
    for (size_t i = 0; i < BLOCK; i++)
        sum += i < 148 || i >= 156 ? block[i] : 0;
    snprintf((char *)block + 148, 8, "%06o", sum & 0777777);
}

static size_t mutate(uint8_t *data, size_t size)
{
    static const char *const texts[] = {"\377\377\377", "\200", "99999999999", "=\n", "\0", "x", "L", "K", "S", "/../", "0 ", "77777777777"};
    for (uint64_t n = random_number() % 5; n-- > 0;) {
        const char *text = texts[random_number() % 12];
        size_t length = *text ? strlen(text) : 1, place = random_number() % size;
        memcpy(data + place, text, length < size - place ? length : size - place);
        if (place / BLOCK * BLOCK + BLOCK <= size)
            seal(data + place / BLOCK * BLOCK);
    }
    return random_number() % 4 ? size : random_number() % (size + 1);
}

int main(int argc, char **argv)
{
    time_t last = time(NULL) + atoi(argv[1]);
    uint64_t runs = 0;
    static uint8_t original[1 << 16], work[1 << 16];
    do
        for (int i = 2; i < argc; i++) {
            FILE *file = fopen(argv[i], "rb");
            size_t size = file ? fread(original, 1, sizeof original, file) : 0;
            if (file)
                fclose(file);
            for (int again = 0; again < 2000 && size; again++, runs++) {
                memcpy(work, original, size);
                LLVMFuzzerTestOneInput(work, again ? mutate(work, size) : size);
            }
        }
    while (time(NULL) < last);
    printf("%llu runs, %llu refused, %llu\n", (unsigned long long)runs, (unsigned long long)refusals, (unsigned long long)touched);
    return runs == 0;
}
#endif
