/* The ledger: what became of each event for one reader, as that reader was told.
 *
 * It is the demo's side of B3: events come by strictly increasing seq, each once, and a hole is exactly
 * as long as the losses and the resync that were reported at its place. Nothing in it is taken from the
 * library's statistics, so it can contradict them. */
#ifndef LEDGER_H
#define LEDGER_H

#include "demo.h"

enum fate { FATE_NONE, FATE_EVENT, FATE_LOST, FATE_SKIPPED };

struct ledger {
    size_t most;       /* the largest seq there can be */
    uint8_t *fate;     /* by seq: what this reader was told of it */
    uint64_t *content; /* by seq: the content of the event that it got */
    uint64_t next;     /* the seq that comes next, if nothing is lost */
    uint64_t next_n;   /* the subscription's own number that comes next */
    uint64_t events;
    uint64_t lost[REQBUS_LOST_EVICTED + 1]; /* by reason */
    uint64_t resyncs;
    uint64_t skipped;        /* events that a resync went past */
    char trouble[SENTENCE]; /* the first breach of B3; empty for none */
};

static bool ledger_new(struct ledger *ledger, size_t most) {
    *ledger = (struct ledger){.most = most, .next = 1, .next_n = 1};
    ledger->fate = calloc(most + 1, sizeof *ledger->fate);
    ledger->content = calloc(most + 1, sizeof *ledger->content);
    return ledger->fate != NULL && ledger->content != NULL;
}

static void ledger_free(struct ledger *ledger) {
    free(ledger->fate);
    free(ledger->content);
}

PRINTF_LIKE(2, 3)
static void ledger_trouble(struct ledger *ledger, const char *format, ...) {
    if (ledger->trouble[0] != '\0') return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ledger->trouble, SENTENCE, format, arguments);
    va_end(arguments);
}

/* Gives the events from `next` to `last` a fate, which each may have once. */
static void ledger_mark(struct ledger *ledger, uint64_t last, enum fate fate) {
    if (last > ledger->most) {
        ledger_trouble(ledger, "it was told of seq %" PRIu64 ", but only %zu events can have been published", last,
                       ledger->most);
        last = ledger->most;
    }
    for (; ledger->next <= last; ledger->next++) {
        if (ledger->fate[ledger->next] != FATE_NONE)
            ledger_trouble(ledger, "it was told twice of seq %" PRIu64, ledger->next);
        ledger->fate[ledger->next] = (uint8_t)fate;
    }
}

/* A new subscription, which goes on where the last one was settled; its own numbers begin anew. */
static void ledger_connect(struct ledger *ledger) { ledger->next_n = 1; }

static void ledger_event(struct ledger *ledger, const reqbus_item *item, uint64_t content) {
    uint64_t seq = item->id.seq;
    if (seq != ledger->next)
        ledger_trouble(ledger, "it got seq %" PRIu64 " where %" PRIu64 " is next", seq, ledger->next);
    if (item->n != ledger->next_n)
        ledger_trouble(ledger, "seq %" PRIu64 " has n %" PRIu64 " where %" PRIu64 " is next", seq, item->n,
                       ledger->next_n);
    ledger->events++;
    ledger->next_n = item->n + 1;
    if (seq < ledger->next) return; /* told as trouble already */
    ledger->next = seq;
    ledger_mark(ledger, seq, FATE_EVENT);
    if (seq <= ledger->most) ledger->content[seq] = content;
}

static void ledger_lost(struct ledger *ledger, const reqbus_item *item) {
    if (item->missed == 0 || item->reason < REQBUS_LOST_FULL || item->reason > REQBUS_LOST_EVICTED) {
        ledger_trouble(ledger, "it was told of %" PRIu64 " lost events for reason %" PRIu32, item->missed,
                       item->reason);
        return;
    }
    ledger_mark(ledger, ledger->next + item->missed - 1, FATE_LOST);
    ledger->lost[item->reason] += item->missed;
    ledger->next_n += item->missed;
    if (item->next_n != ledger->next_n)
        ledger_trouble(ledger, "a loss before seq %" PRIu64 " says that n %" PRIu64 " is next, where %" PRIu64 " is",
                       ledger->next, item->next_n, ledger->next_n);
}

static void ledger_resync(struct ledger *ledger, const reqbus_item *item) {
    if (item->reason != REQBUS_RESYNC_EXPIRED)
        ledger_trouble(ledger, "its own id was refused as %.*s", (int)item->reason_name_len, item->reason_name);
    if (item->id.seq + 1 <= ledger->next)
        ledger_trouble(ledger, "a resync to seq %" PRIu64 ", which it has had, says that its id expired", item->id.seq);
    else
        ledger->skipped += item->id.seq + 1 - ledger->next;
    ledger_mark(ledger, item->id.seq, FATE_SKIPPED);
    ledger->resyncs++;
}

/* After a batch: the settled id, from which a resume goes on, must be the last that was told of. */
static void ledger_settled(struct ledger *ledger, const reqbus_id *settled) {
    if (settled->seq + 1 != ledger->next)
        ledger_trouble(ledger, "its settled seq is %" PRIu64 " after a batch that told of all up to %" PRIu64,
                       settled->seq, ledger->next - 1);
}

static uint64_t ledger_lost_sum(const struct ledger *ledger) {
    return ledger->lost[REQBUS_LOST_FULL] + ledger->lost[REQBUS_LOST_WINDOW] + ledger->lost[REQBUS_LOST_EVICTED];
}

/* At the end: every event that was published has one fate, and what was got is what was published
 * under that seq (`content`, by seq). Counts anew, event by event. */
static void ledger_close(struct ledger *ledger, uint64_t published, const uint64_t *content) {
    uint64_t count[FATE_SKIPPED + 1] = {0};
    for (uint64_t seq = 1; seq <= ledger->most; seq++) {
        uint8_t fate = ledger->fate[seq];
        count[fate]++;
        if ((fate == FATE_NONE) != (seq > published))
            ledger_trouble(ledger, "seq %" PRIu64 " is %s", seq,
                           fate == FATE_NONE ? "neither delivered, nor lost, nor behind a resync"
                                             : "known to it, and was never published");
        if (fate == FATE_EVENT && ledger->content[seq] != content[seq])
            ledger_trouble(ledger, "seq %" PRIu64 " is another event for it than for its publisher", seq);
    }
    if (count[FATE_EVENT] != ledger->events || count[FATE_LOST] != ledger_lost_sum(ledger) ||
        count[FATE_SKIPPED] != ledger->skipped)
        ledger_trouble(ledger,
                       "by seq it has %" PRIu64 " events, %" PRIu64 " lost and %" PRIu64
                       " skipped, by item %" PRIu64 ", %" PRIu64 " and %" PRIu64,
                       count[FATE_EVENT], count[FATE_LOST], count[FATE_SKIPPED], ledger->events,
                       ledger_lost_sum(ledger), ledger->skipped);
}

#endif
