/* The monitor's decoder of messages under a fuzzer: whatever the bytes, it answers and reads nothing outside them.
 *
 * With clang: -fsanitize=fuzzer,address,undefined. With any compiler: -DSTANDALONE gives a main that mutates the records named
 * on its command line for so many seconds. */
#include "../../native/corten.h"
#include "../../native/monitor.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t touched, accepted;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct message m;
    uint8_t *copy = malloc(size ? size : 1); /* exactly as long as the record, so that a sanitizer sees one byte more */
    memcpy(copy, data, size);
    memset(&m, 0xa5, sizeof m); /* what the record does not set must not be read as if it did */
    if (message_decode(copy, size, &m) == 0) {
        accepted++;
        for (size_t i = 0; i < sizeof m.u; i++)
            touched += ((const uint8_t *)&m.u)[i];
        for (size_t i = 0; i < m.tail_len; i++)
            touched += m.tail[i];
        if (m.tail_len > size)
            abort();
    }
    free(copy);
    return 0;
}

#ifdef STANDALONE
static uint32_t random_state = 2463534242u;

static uint32_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

int main(int argc, char **argv)
{
    static uint8_t record[MAX_MESSAGE];
    time_t end = time(NULL) + atoi(argv[1]);
    uint64_t runs = 0;
    while (time(NULL) < end) {
        FILE *seed = fopen(argv[2 + next_random() % (uint32_t)(argc - 2)], "rb");
        size_t size = seed ? fread(record, 1, sizeof record, seed) : 0;
        if (seed)
            fclose(seed);
        for (int i = 0; i < 200; i++) {
            size_t length = next_random() % 4 ? size : next_random() % sizeof record;
            for (uint32_t changes = next_random() % 6; changes && length; changes--)
                record[next_random() % (next_random() % 2 && length > 8 ? 8 : length)] = (uint8_t)next_random();
            LLVMFuzzerTestOneInput(record, length);
            runs++;
        }
    }
    printf("%llu runs, %llu accepted, %llu\n", (unsigned long long)runs, (unsigned long long)accepted, (unsigned long long)touched);
    return 0;
}
#endif
