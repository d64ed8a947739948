/* The plan decoder under a fuzzer: whatever the bytes, it answers and touches nothing outside them.
 *
 * With clang: -fsanitize=fuzzer,address,undefined. With any compiler: -DSTANDALONE gives a main that mutates the plans named
 * on its command line for so many seconds; a damaged plan that passes has every argument read, as the dispatch would. */
#include "../../native/launch.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t touched;

static void touch_texts(const struct launch *l, uint64_t arg)
{
    struct texts texts = texts_at(l, arg);
    for (size_t i = 0; i < texts.count; i++)
        touched += strlen(texts.at[i]);
    touched += texts.at[texts.count] != NULL;
}

static void touch_bytes(const struct launch *l, uint64_t arg, size_t width)
{
    struct bytes bytes = bytes_at(l, arg, width);
    for (size_t i = 0; i < bytes.size; i++)
        touched += ((const unsigned char *)bytes.at)[i];
}

static void touch_slots(const struct launch *l, uint64_t arg)
{
    struct slots slots = slots_at(l, arg);
    for (size_t i = 0; i < slots.count; i++)
        touched += (uint64_t)fd_of(l, slots.at[i]);
}

static void touch(const struct launch *l, char letter, uint64_t arg)
{
    if (letter == 's' || letter == 'o')
        touched += (uint64_t)fd_of(l, arg);
    else if (letter == 't')
        touched += strlen(text_at(l, arg));
    else if (letter == 'T')
        touch_texts(l, arg);
    else if (letter == 'S')
        touch_slots(l, arg);
    else if (letter == 'b' || letter == 'd')
        touch_bytes(l, arg, letter == 'd' ? 4 : 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct launch launch;
    void *copy = malloc(size ? size : 1); /* exactly as long as the plan, so that a sanitizer sees one byte more */
    memcpy(copy, data, size);
    if (plan_decode(&launch, copy, size) == NULL)
        for (uint32_t i = 0; i < launch.plan->rows; i++)
            for (size_t j = 0; op_table[launch.rows[i].op].args[j]; j++)
                touch(&launch, op_table[launch.rows[i].op].args[j], launch.rows[i].arg[j]);
    free(copy);
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

/* Overwrite a few places with the values that break decoders; sometimes cut the plan and tell it so. */
static size_t mutate(uint8_t *data, size_t size)
{
    static const uint64_t values[] = {0, 1, 7, 8, 255, 0xffff, 0x7fffffff, 0xffffffff, 1ull << 32, ~0ull, 1ull << 63};
    for (uint64_t n = random_number() % 6; n-- > 0;) {
        uint64_t value = random_number() % 3 ? values[random_number() % 11] : random_number() % (size + 16);
        size_t width = (size_t)1 << random_number() % 4, at = random_number() % size;
        memcpy(data + at, &value, at + width <= size ? width : size - at);
    }
    if (random_number() % 4 == 0 && size > sizeof(struct plan)) {
        size = sizeof(struct plan) + random_number() % (size - sizeof(struct plan));
        ((struct plan *)(void *)data)->size = (uint32_t)size;
        data[size - 1] = 0;
    }
    return size;
}

int main(int argc, char **argv)
{
    time_t end = time(NULL) + atoi(argv[1]);
    uint64_t runs = 0;
    static uint64_t aligned[1 << 16];
    uint8_t *work = (uint8_t *)aligned;
    do
        for (int i = 2; i < argc; i++) {
            FILE *file = fopen(argv[i], "rb");
            size_t size = file ? fread(work, 1, sizeof aligned, file) : 0;
            if (file)
                fclose(file);
            for (int again = 0; again < 2000 && size; again++, runs++) {
                static uint64_t buffer[1 << 16];
                memcpy(buffer, work, size);
                LLVMFuzzerTestOneInput((uint8_t *)buffer, again ? mutate((uint8_t *)buffer, size) : size);
            }
        }
    while (time(NULL) < end);
    printf("%llu runs, %llu\n", (unsigned long long)runs, (unsigned long long)touched);
    return runs == 0;
}
#endif
