/* The words of the command line. Only flags that are usual stand here; a word that is not known makes the verb Python's, whose
 * table (corten.runtime.command) has them all and says what is wrong. */
#include "front.h"

enum { GLOBAL = 1, LAUNCH = 2, RUN = 4, EXECUTE = 8, DELETE = 16, OTHER = 32, VALUE = 64 };

static const struct flag {
    const char *name;
    char letter;
    uint8_t where;
    uint16_t field;
} flags[] = {
    {"root", 0, GLOBAL | VALUE, offsetof(struct words, root)},
    {"log", 0, GLOBAL | VALUE, offsetof(struct words, log)},
    {"log-format", 0, GLOBAL | VALUE, offsetof(struct words, ignored)},
    {"log-level", 0, GLOBAL | VALUE, offsetof(struct words, ignored)},
    {"debug", 0, GLOBAL, offsetof(struct words, ignored)},
    {"bundle", 'b', LAUNCH | VALUE, offsetof(struct words, bundle)},
    {"console-socket", 0, LAUNCH | EXECUTE | VALUE, offsetof(struct words, console)},
    {"pid-file", 0, LAUNCH | EXECUTE | VALUE, offsetof(struct words, pid_file)},
    {"no-pivot", 0, LAUNCH, offsetof(struct words, no_pivot)},
    {"no-new-keyring", 0, LAUNCH, offsetof(struct words, no_keyring)},
    {"no-subreaper", 0, LAUNCH, offsetof(struct words, ignored)},
    {"detach", 'd', RUN | EXECUTE, offsetof(struct words, detach)},
    {"keep", 0, RUN, offsetof(struct words, keep)},
    {"process", 'p', EXECUTE | VALUE, offsetof(struct words, process)},
    {"force", 'f', DELETE, offsetof(struct words, force)},
};

static const struct {
    const char *name;
    uint8_t where;
} verbs[] = {
    {"create", LAUNCH}, {"run", LAUNCH | RUN}, {"exec", EXECUTE}, {"delete", DELETE},
    {"start", OTHER},   {"state", OTHER},      {"kill", OTHER},
};

static const struct flag *flag_of(const char *word, size_t size, uint8_t where)
{
    size_t dashes = size > 2 && word[1] == '-' ? 2 : 1;
    for (const struct flag *f = flags; f < flags + sizeof flags / sizeof *flags; f++) {
        bool named = strlen(f->name) == size - dashes && strncmp(f->name, word + dashes, size - dashes) == 0;
        bool short_one = f->letter && size == 2 && word[1] == f->letter;
        if ((f->where & where & ~VALUE) && (named || short_one))
            return f;
    }
    return NULL;
}

/* Take the flag at `*at`, and its value where it has one, as --name=value or in the next word. */
static bool take_flag(struct words *w, int argc, char **argv, int *at, uint8_t where)
{
    char *word = argv[(*at)++];
    size_t size = strcspn(word, "=");
    const struct flag *f = flag_of(word, size, where);
    if (!f || (word[size] && !(f->where & VALUE)))
        return false;
    const char *value = "true";
    if (f->where & VALUE) {
        value = word[size] ? word + size + 1 : *at < argc ? argv[(*at)++] : NULL;
        if (!value || !*value)
            return false;
    }
    *(const char **)((char *)w + f->field) = value;
    return true;
}

static uint8_t verb_flags(const char *verb)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, verb) == 0)
            return verbs[i].where;
    return 0;
}

bool words_parse(struct words *w, int argc, char **argv)
{
    int at = 1;
    *w = (struct words){.operands = argv};
    while (at < argc && argv[at][0] == '-')
        if (!take_flag(w, argc, argv, &at, GLOBAL))
            return false;
    if (at == argc)
        return false;
    w->verb = argv[at++];
    uint8_t where = verb_flags(w->verb);
    static char *operands[64];
    w->operands = operands;
    while (where && at < argc) {
        if (argv[at][0] == '-') {
            if (!take_flag(w, argc, argv, &at, where))
                return false;
            continue;
        }
        if (where == EXECUTE) { /* from the first operand on everything belongs to the program */
            w->operands = argv + at;
            w->count = argc - at;
            break;
        }
        if (w->count == 63)
            return false;
        operands[w->count++] = argv[at++];
    }
    return where && w->count > 0;
}
