/* The plan cache's reader under a fuzzer: whatever the bytes of an entry and of a document, it answers and touches nothing
 * outside them. The checksum is set right after each change, so that what stands behind it is reached; and first of all it is
 * shown that without that no single changed bit passes.
 *
 *   front_entry SECONDS ENTRY DOCUMENT */
#include "../../native/front_entry.c"
#include <assert.h>
#include <time.h>

static uint64_t state = 88172645463325252ull, touched;

static uint64_t random_number(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

ssize_t read_at(int dir, const char *name, void *buffer, size_t limit)
{
    (void)dir, (void)buffer, (void)limit;
    touched += strlen(name);
    return -1;
}

static void mutate(uint8_t *data, size_t size)
{
    static const uint32_t values[] = {0, 1, 7, 8, 255, 0xffff, 0x7fffffff, 0xffffffff};
    for (uint64_t n = random_number() % 6; n-- > 0;) {
        uint32_t value = random_number() % 3 ? values[random_number() % 8] : (uint32_t)(random_number() % (size + 16));
        /* The header and the tables say where to look: they are changed most. */
        size_t at = random_number() % 2 ? random_number() % sizeof(struct entry) : random_number() % size;
        if (at < size)
            memcpy(data + at, &value, at + 4 <= size ? 4 : size - at);
    }
}

static void use(const struct entry *e, const struct text *document)
{
    static char out[70000];
    static struct values values;
    memset(&values, 0, sizeof values);
    char *list[] = {"program", "word", NULL};
    values.list = list;
    touched += entry_match(e, document, &values, HOLES);
    for (int i = 0; i < VALUES; i++)
        if (!values.text[i].at && random_number() % 4)
            values.text[i] = (struct text){"value", 5};
    touched += witnesses_agree(e);
    touched += (uint64_t)entry_render(e, &e->state, &values, out, sizeof out);
    touched += (uint64_t)entry_render(e, &e->record, &values, out, sizeof out);
    int fd = entry_plan(e, &values);
    if (fd >= 0)
        close(fd);
}

static size_t load_file(const char *path, uint8_t *into, size_t limit)
{
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(into, 1, limit, file) : 0;
    if (file)
        fclose(file);
    return size;
}

int main(int argc, char **argv)
{
    static uint64_t original[1 << 17], words[1 << 15];
    assert(argc == 4);
    size_t size = load_file(argv[2], (uint8_t *)original, sizeof original), length = load_file(argv[3], (uint8_t *)words, sizeof words);
    uint64_t runs = 0, passed = 0;
    assert(size && entry_decode(original, size) == NULL);
    for (size_t at = 0; at < size; at++)
        for (int bit = 0; bit < 8; bit++) {
            ((uint8_t *)original)[at] ^= (uint8_t)(1 << bit);
            assert(entry_decode(original, size) != NULL);
            ((uint8_t *)original)[at] ^= (uint8_t)(1 << bit);
            if (at > sizeof(struct entry))
                break; /* behind the header one bit of each byte: a checksum of 32 bits sees each alike */
        }
    time_t end = time(NULL) + atoi(argv[1]);
    do {
        size_t cut = random_number() % 8 ? size : random_number() % size + 1;
        uint8_t *exact = malloc(cut), *text = malloc(length); /* exactly as long, so that a sanitizer sees one byte more */
        memcpy(exact, original, cut);
        memcpy(text, words, length);
        mutate(exact, cut);
        if (random_number() % 2)
            mutate(text, length);
        struct entry *e = (struct entry *)(void *)exact;
        if (cut > sizeof *e) {
            e->magic = ENTRY_MAGIC, e->version = ENTRY_VERSION, e->size = (uint32_t)cut, exact[cut - 1] = 0;
            e->checksum = checksum_of(exact + offsetof(struct entry, wanted), cut - offsetof(struct entry, wanted));
        }
        if (entry_decode(exact, cut) == NULL) {
            passed++;
            use(e, &(struct text){(char *)text, length});
        }
        free(exact);
        free(text);
        runs++;
    } while (time(NULL) < end);
    printf("%llu runs, %llu decoded, %llu\n", (unsigned long long)runs, (unsigned long long)passed, (unsigned long long)touched);
    return passed == 0;
}
