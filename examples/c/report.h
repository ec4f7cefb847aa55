/* The report on the bus: progress while the demo runs, then the table and whether B2 and B3 hold. */
#ifndef REPORT_H
#define REPORT_H

#include <unistd.h>

#include "gateway.h"
#include "readers.h"

struct progress {
    bool terminal;
    size_t told; /* tenths that were told */
};

/* One line: how far the feed is, how many requests are served and wait, and for each reader delivered/lost. */
static void progress_show(struct progress *progress, struct demo *demo, struct gateway *gateway,
                          struct reader *readers) {
    size_t published = atomic_load_explicit(&demo->published, memory_order_relaxed);
    size_t tenths = published * 10 / demo->trace.len;
    if (!progress->terminal && tenths == progress->told) return;
    progress->told = tenths;

    char line[SENTENCE];
    int len = snprintf(line, sizeof line, "%3zu %%  served/waiting: %zu/%zu  published %zu  delivered/lost:",
                       published * 100 / demo->trace.len, atomic_load(&gateway->served),
                       atomic_load(&gateway->waiting), published);
    for (size_t i = 0; i < READERS && len > 0 && (size_t)len < sizeof line; i++)
        len += snprintf(line + len, sizeof line - (size_t)len, "  %s %" PRIuFAST64 "/%" PRIuFAST64,
                        readers[i].plan->name, atomic_load_explicit(&readers[i].delivered, memory_order_relaxed),
                        atomic_load_explicit(&readers[i].lost, memory_order_relaxed));
    /* On a terminal the line is written over itself, without wrapping where the window is narrow. */
    fprintf(stderr, progress->terminal ? "\r\033[?7l%s\033[K\033[?7h" : "%s\n", line);
}

static void progress_end(const struct progress *progress) {
    if (progress->terminal) fprintf(stderr, "\r\033[K");
}

/* What became of the events that matched for one reader, over all its subscriptions. */
struct account {
    uint64_t matched, delivered, lost_full, lost_window, lost_evicted, pending, abandoned;
};

static uint64_t account_sum(const struct account *account) {
    return account->delivered + account->lost_full + account->lost_window + account->lost_evicted +
           account->pending + account->abandoned;
}

/* Asks for the accounts, at a quiet moment and before the subscriptions are freed. The resumer's
 * freed subscriptions live on in the sums of the bus: its account is what those have beyond the
 * other readers'. So nothing that happened between a look and a drop is missed. */
static void accounts_get(struct demo *demo, struct reader *readers, struct account accounts[READERS]) {
    reqbus_bus_stats sums = {.size = sizeof sums};
    reqbus_status status = reqbus_bus_get_stats(demo->bus, &sums);
    if (status != REQBUS_OK) fail_call(demo, "reqbus_bus_get_stats", status, NULL);
    struct account rest = {sums.matched,      sums.delivered, sums.lost_full, sums.lost_window,
                           sums.lost_evicted, sums.pending,   sums.abandoned};
    for (size_t i = 0; i < READERS; i++) {
        reqbus_subscription_stats stats = {.size = sizeof stats};
        if (readers[i].subscription != NULL) check_matched(&readers[i], &stats);
        accounts[i] = (struct account){stats.matched,      stats.delivered, stats.lost_full, stats.lost_window,
                                       stats.lost_evicted, stats.pending,   stats.abandoned};
        if (i == RESUMER) break;
        rest.matched -= accounts[i].matched;
        rest.delivered -= accounts[i].delivered;
        rest.lost_full -= accounts[i].lost_full;
        rest.lost_window -= accounts[i].lost_window;
        rest.lost_evicted -= accounts[i].lost_evicted;
        rest.pending -= accounts[i].pending;
        rest.abandoned -= accounts[i].abandoned;
    }
    accounts[RESUMER] = rest;
}

static int by_size(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Of sorted times, the smallest that so many per cent of them did not exceed; `len` is not 0. */
static uint64_t percentile(const uint64_t *times, size_t len, size_t percent) {
    return times[(len * percent + 99) / 100 - 1];
}

static void publish_times(const struct publisher *publishers, size_t published) {
    uint64_t *times = malloc((published + 1) * sizeof *times);
    size_t len = 0;
    if (times == NULL || published == 0) {
        free(times);
        return;
    }
    for (size_t i = 0; i < PUBLISHERS; i++)
        for (size_t at = 0; at < publishers[i].published && len < published; at++)
            times[len++] = publishers[i].took_ns[at];
    qsort(times, len, sizeof *times, by_size);
    printf("publish    p50 %" PRIu64 " ns, p99 %" PRIu64 " ns a call\n", percentile(times, len, 50),
           percentile(times, len, 99));
    free(times);
}

static void cell(bool filled, int width, uint64_t value) {
    if (filled)
        printf(" %*" PRIu64, width, value);
    else
        printf(" %*s", width, "-");
}

static void table(const struct reader *readers, const struct account accounts[READERS]) {
    printf("\n%55s\n%-8s %-13s %7s %9s %7s %7s %7s %7s %9s %7s %8s\n", "lost:", "reader", "policy", "matched",
           "delivered", "full", "window", "evicted", "pending", "abandoned", "resumed", "resynced");
    for (size_t i = 0; i < READERS; i++) {
        const struct account *account = &accounts[i];
        printf("%-8s %-13s", readers[i].plan->name, readers[i].plan->policy);
        cell(true, 7, account->matched);
        cell(true, 9, account->delivered);
        cell(true, 7, account->lost_full);
        cell(true, 7, account->lost_window);
        cell(true, 7, account->lost_evicted);
        cell(true, 7, account->pending);
        cell(true, 9, account->abandoned);
        cell(i == RESUMER, 7, readers[i].resumes);
        cell(i == RESUMER, 8, readers[i].ledger.resyncs);
        printf("\n");
    }
    printf("\nfast       wrote %" PRIu64 " SSE frames, %" PRIu64 " bytes\n", readers[FAST].sink.frames,
           readers[FAST].sink.bytes);
    printf("resumer    dropped its subscription %" PRIu64 " times; %" PRIu64 " events were behind a resync\n\n",
           readers[RESUMER].drops, readers[RESUMER].ledger.skipped);
}

/* NULL, or the breach of B2 by one reader. */
static const char *account_breach(const struct reader *reader, const struct account *account, uint64_t published,
                                  char sentence[SENTENCE]) {
    const struct ledger *ledger = &reader->ledger;
    const char *name = reader->plan->name;
    bool resumer = reader->plan == &plans[RESUMER];
    if (reader->trouble[0] != '\0') return reader->trouble;
    if (account->matched != account_sum(account))
        say_into(sentence,
                 "%s matched %" PRIu64 " events, but delivered, lost, pending and abandoned make %" PRIu64, name,
                 account->matched, account_sum(account));
    else if (account->delivered != ledger->events)
        say_into(sentence, "%s counted %" PRIu64 " events, and the bus says that it delivered %" PRIu64, name,
                 ledger->events, account->delivered);
    else if (account->pending != 0)
        say_into(sentence, "%s read to the end, and the bus says that %" PRIu64 " events are pending", name,
                 account->pending);
    else if (!resumer && account->matched != published)
        say_into(sentence, "%s was there throughout and matched %" PRIu64 " of %" PRIu64 " events", name,
                 account->matched, published);
    else if (!resumer && account->abandoned != 0)
        say_into(sentence, "%s read to the end, and the bus says that %" PRIu64 " events were abandoned", name,
                 account->abandoned);
    /* The resumer drops some losses before it is told of them; who stays is told of all. */
    else if (!resumer && (account->lost_full != ledger->lost[REQBUS_LOST_FULL] ||
                          account->lost_window != ledger->lost[REQBUS_LOST_WINDOW] ||
                          account->lost_evicted != ledger->lost[REQBUS_LOST_EVICTED]))
        say_into(sentence,
                 "%s was told of losses full %" PRIu64 ", window %" PRIu64 ", evicted %" PRIu64
                 "; the bus says %" PRIu64 ", %" PRIu64 ", %" PRIu64,
                 name, ledger->lost[REQBUS_LOST_FULL], ledger->lost[REQBUS_LOST_WINDOW],
                 ledger->lost[REQBUS_LOST_EVICTED], account->lost_full, account->lost_window, account->lost_evicted);
    else if (resumer && account->lost_full + account->lost_window + account->lost_evicted < ledger_lost_sum(ledger))
        say_into(sentence, "%s was told of %" PRIu64 " losses, more than the bus has counted", name,
                 ledger_lost_sum(ledger));
    else
        return NULL;
    return sentence;
}

static bool b2_holds(const struct reader *readers, const struct account accounts[READERS], uint64_t published) {
    bool holds = true;
    uint64_t matched = 0;
    for (size_t i = 0; i < READERS; i++) {
        char sentence[SENTENCE];
        const char *breach = account_breach(&readers[i], &accounts[i], published, sentence);
        matched += accounts[i].matched;
        if (breach != NULL) printf("B2 does not hold: %s.\n", breach);
        holds = holds && breach == NULL;
    }
    if (holds)
        printf("B2 holds: for each reader, matched == delivered + lost + pending + abandoned (%" PRIu64 " in all);\n"
               "          delivered is what it counted itself, and matched is what was published while it was "
               "subscribed.\n",
               matched);
    return holds;
}

static bool b3_holds(struct reader *readers, const struct publisher *publishers, uint64_t most, uint64_t published) {
    bool holds = true;
    uint64_t *content = calloc((size_t)most + 1, sizeof *content); /* by seq, as the publishers know it */
    uint8_t *given = calloc((size_t)most + 1, sizeof *given);
    if (content == NULL || given == NULL) {
        printf("B3 cannot be checked: there is no memory for it.\n");
        holds = false;
    }
    for (size_t i = 0; holds && i < PUBLISHERS; i++) {
        if (publishers[i].trouble[0] != '\0') {
            printf("B3 does not hold: %s.\n", publishers[i].trouble);
            holds = false;
        }
        for (size_t at = 0; holds && at < publishers[i].published; at++) {
            uint64_t seq = publishers[i].seq[at];
            if (seq == 0 || seq > published || given[seq]++ > 0) {
                printf("B3 does not hold: %" PRIu64 " events were published, and one got seq %" PRIu64 "%s.\n",
                       published, seq, seq > 0 && seq <= published ? " as another had" : "");
                holds = false;
                break;
            }
            content[seq] = publishers[i].content[at];
        }
    }
    for (size_t i = 0; content != NULL && given != NULL && i < READERS; i++) {
        ledger_close(&readers[i].ledger, published, content);
        if (readers[i].ledger.trouble[0] == '\0') continue;
        printf("B3 does not hold: %s: %s.\n", readers[i].plan->name, readers[i].ledger.trouble);
        holds = false;
    }
    free(content);
    free(given);
    if (holds)
        printf("B3 holds: each reader got the %" PRIu64 " events in one order, by strictly increasing seq: each once, "
               "or within a\n          reported loss or resync, for the resumer over all its %" PRIu64
               " connections.\n",
               published, readers[RESUMER].resumes + 1);
    return holds;
}

#endif
