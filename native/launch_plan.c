/* The decoder: nothing of a plan is used before all of it was checked. It is the fuzzers' target.
 *
 * The plan is a private mapping of a sealed memfd, so it cannot change under us, and the lists of strings can be turned from
 * offsets into pointers where they lie: after clone nothing needs to be allocated. */
#include "launch.h"

/* An area of `count` items of `width` bytes at `at` in the data part, aligned, the plan's last byte excluded. */
static bool area_fits(const struct plan *p, uint32_t data, uint32_t at, uint64_t count, size_t width)
{
    return at >= data && at < p->size && at % 8 == 0 && count * width <= p->size - 1 - at;
}

/* Lists that overlap cannot pass: an offset that was made a pointer lies outside the plan, and the zero at a list's end is no
 * offset, so no list can be changed through another one. */
static bool texts_fit(struct plan *p, uint32_t data, uint32_t at, uint32_t count)
{
    if (!area_fits(p, data, at, (uint64_t)count + 1, 8))
        return false;
    uint64_t *list = (uint64_t *)((char *)p + at);
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] < data || list[i] >= p->size)
            return false;
        list[i] = (uint64_t)(uintptr_t)((char *)p + list[i]);
    }
    return list[count] == 0;
}

static bool slots_fit(const struct plan *p, uint32_t data, uint32_t at, uint32_t count)
{
    if (!area_fits(p, data, at, count, 8))
        return false;
    const uint64_t *list = (const uint64_t *)((const char *)p + at);
    for (uint32_t i = 0; i < count; i++)
        if (list[i] >= p->slots)
            return false;
    return true;
}

static bool argument_fits(struct plan *p, uint32_t data, char letter, uint64_t arg)
{
    switch (letter) {
    case 'i':
        return true;
    case 's':
        return arg < p->slots;
    case 'o':
        return arg < p->slots || arg == NO_SLOT;
    case 't':
        return arg >= data && arg < p->size;
    case 'b':
        return area_fits(p, data, (uint32_t)arg, arg >> 32, 1);
    case 'd':
        return area_fits(p, data, (uint32_t)arg, arg >> 32, 4);
    case 'S':
        return slots_fit(p, data, (uint32_t)arg, arg >> 32);
    case 'T':
        return texts_fit(p, data, (uint32_t)arg, arg >> 32);
    }
    return false;
}

static const char *row_fault(struct plan *p, uint32_t data, const struct row *r, bool *cloned)
{
    if (r->op >= OP_COUNT)
        return "a row has an unknown operation";
    const struct op_info *info = &op_table[r->op];
    if ((r->actor != HOST && r->actor != PARENT && r->actor != CHILD && r->actor != CONTROLLER) || !(r->actor & info->actors))
        return "a row has an actor who may not run it";
    if (r->actor != CONTROLLER && *cloned != (r->actor != HOST))
        return "a row's actor does not exist at its place";
    *cloned |= r->op == OP_CLONE;
    if (r->slot == NO_SLOT ? info->slot == 2 : info->slot == 0 || r->slot >= p->slots)
        return "a row has a wrong slot";
    for (size_t i = 0; info->args[i]; i++)
        if (!argument_fits(p, data, info->args[i], r->arg[i]))
            return "a row has a wrong argument";
    return NULL;
}

static const char *header_fault(const struct plan *p, size_t size)
{
    if (size < sizeof *p || size > MAX_PLAN || p->size != size)
        return "its size is wrong";
    if (p->magic != PLAN_MAGIC || p->version != PLAN_VERSION)
        return "it is not a plan of this version";
    if (p->table != PLAN_TABLE_HASH)
        return "it was made for another opcode table; reinstall corten so that both sides agree";
    if (p->rows > MAX_ROWS || p->slots > MAX_SLOTS || p->inherits > p->slots)
        return "it is too large";
    if (sizeof *p + p->inherits * sizeof(struct inherit) + p->rows * sizeof(struct row) + 1 > size)
        return "it is too short";
    return ((const char *)p)[size - 1] == 0 ? NULL : "its end is missing";
}

const char *plan_decode(struct launch *l, void *bytes, size_t size)
{
    struct plan *p = bytes;
    const char *fault = header_fault(p, size);
    if (fault)
        return fault;
    const struct inherit *inherit = (const struct inherit *)(p + 1);
    const struct row *rows = (const struct row *)(inherit + p->inherits);
    uint32_t data = (uint32_t)((const char *)(rows + p->rows) - (const char *)p);
    for (uint32_t i = 0; i < p->slots; i++)
        l->fd[i] = -1;
    for (uint32_t i = 0; i < p->inherits; i++) {
        if (inherit[i].slot >= p->slots || inherit[i].fd > INT32_MAX || inherit[i].fd == PLAN_FD || inherit[i].fd == CONTROL_FD)
            return "an inherited descriptor is wrong";
        l->fd[inherit[i].slot] = (int)inherit[i].fd;
    }
    bool cloned = false;
    for (l->row = 0; l->row < p->rows; l->row++)
        if ((fault = row_fault(p, data, &rows[l->row], &cloned)))
            return fault;
    l->plan = p;
    l->rows = rows;
    return NULL;
}
