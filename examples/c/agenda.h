/* An agenda: what is due when, the earliest first. One worker's own, so it has no lock. */
#ifndef AGENDA_H
#define AGENDA_H

#include <assert.h>

#include "demo.h"

enum due_what { DUE_SERVED, DUE_CLIENT_LEAVES };

struct due {
    uint64_t at_ns; /* of now_ns() */
    size_t index;   /* of the request that it is about */
    enum due_what what;
};

/* A binary heap: none is due before its parent, which has half its number. */
struct agenda {
    struct due *heap;
    size_t len, capacity;
};

static bool agenda_new(struct agenda *agenda, size_t capacity) {
    *agenda = (struct agenda){.heap = calloc(capacity + 1, sizeof *agenda->heap), .capacity = capacity};
    return agenda->heap != NULL;
}

static void agenda_free(struct agenda *agenda) { free(agenda->heap); }

static void agenda_add(struct agenda *agenda, struct due due) {
    assert(agenda->len < agenda->capacity);
    size_t at = agenda->len++;
    for (; at > 0 && agenda->heap[(at - 1) / 2].at_ns > due.at_ns; at = (at - 1) / 2)
        agenda->heap[at] = agenda->heap[(at - 1) / 2];
    agenda->heap[at] = due;
}

/* When the first is due; UINT64_MAX if there is none. */
static uint64_t agenda_next_ns(const struct agenda *agenda) {
    return agenda->len == 0 ? UINT64_MAX : agenda->heap[0].at_ns;
}

/* Takes the first off, if it is due. */
static bool agenda_take(struct agenda *agenda, uint64_t now, struct due *due) {
    if (agenda_next_ns(agenda) > now) return false;
    *due = agenda->heap[0];
    const struct due last = agenda->heap[--agenda->len];
    size_t at = 0;
    for (size_t child; (child = at * 2 + 1) < agenda->len; at = child) {
        if (child + 1 < agenda->len && agenda->heap[child + 1].at_ns < agenda->heap[child].at_ns) child++;
        if (agenda->heap[child].at_ns >= last.at_ns) break;
        agenda->heap[at] = agenda->heap[child];
    }
    agenda->heap[at] = last;
    return true;
}

#endif
