/* The readers: five threads, each of which reads in its own way.
 *
 *   fast      keeps up, and asks for texts: SSE frames, as a web handler would write them
 *   newest    sleeps between batches, DropNewest: what finds its queue full is lost
 *   oldest    sleeps between batches, DropOldest: what falls out of its window is lost; waits with poll()
 *   catch-up  sleeps between batches, CatchUp: loses only what the bus's log itself lets go of
 *   resumer   drops its subscription again and again, without warning, and resumes by its settled id */
#ifndef READERS_H
#define READERS_H

#include <poll.h>

#include "ledger.h"
#include "request.h"

enum { FAST, NEWEST, OLDEST, CATCH_UP, RESUMER, READERS };

struct plan {
    const char *name;
    const char *policy;
    uint32_t overflow; /* a reqbus_overflow */
    size_t capacity;
    uint64_t nap_ms;    /* between batches, in time of the trace, so that losses do not depend on --speed */
    uint64_t linger_ms; /* likewise: how long it lets a burst gather */
};

static const struct plan plans[READERS] = {
    [FAST] = {"fast", "CatchUp", REQBUS_OVERFLOW_CATCH_UP, 0, 0, 0},
    [NEWEST] = {"newest", "DropNewest 64", REQBUS_OVERFLOW_DROP_NEWEST, 64, 18000, 0},
    [OLDEST] = {"oldest", "DropOldest 64", REQBUS_OVERFLOW_DROP_OLDEST, 64, 24000, 0},
    [CATCH_UP] = {"catch-up", "CatchUp", REQBUS_OVERFLOW_CATCH_UP, 0, 66000, 0},
    [RESUMER] = {"resumer", "CatchUp", REQBUS_OVERFLOW_CATCH_UP, 0, 0, 1200},
};

enum {
    BATCH_ITEMS = 256,
    BATCH_BYTES = 1 << 20,
    DROP_EVERY = 4,  /* batches, after which the resumer drops its subscription */
    AWAY_EVERY = 24, /* drops, after which it stays away until its id has expired */
};

/* Where a web handler would write to its client. */
struct sink {
    uint64_t frames;
    uint64_t bytes;
};

struct reader {
    struct demo *demo;
    const struct plan *plan;
    pthread_t thread;
    reqbus_subscription *subscription;
    reqbus_batch *batch;
    reqbus_bell *bell; /* of the reader that waits with poll() */
    int bell_fd;
    struct ledger ledger;
    struct sink sink;
    uint64_t base;           /* after which seq the present subscription began */
    uint64_t drops, resumes; /* the resumer: subscriptions dropped, and made again */
    char trouble[SENTENCE];  /* the first breach of B2 it saw; empty for none */
    atomic_uint_fast64_t delivered, lost; /* for the progress line */
    atomic_bool ended;
};

static bool reader_subscribe(struct reader *reader, const reqbus_id *after) {
    char id[REQBUS_ID_TEXT_MAX];
    uint64_t linger_ms = scaled_ns(reader->demo, reader->plan->linger_ms * 1000000) / 1000000;
    reqbus_subscribe_options options = {
        .size = sizeof options,
        .start = REQBUS_START_LIVE,
        .overflow = reader->plan->overflow,
        .capacity = reader->plan->capacity,
        .label = reader->plan->name,
        .label_len = strlen(reader->plan->name),
        .linger_ms = linger_ms < 1000 ? linger_ms : 1000,
    };
    if (after != NULL) { /* as text, the way it comes back from a client: Last-Event-ID */
        reqbus_status status = reqbus_id_format(after, id, sizeof id, &options.after_len);
        if (status != REQBUS_OK) {
            fail_call(reader->demo, "reqbus_id_format", status, NULL);
            return false;
        }
        options.after = id;
        options.start = REQBUS_START_AFTER;
    }
    reqbus_error *error = NULL;
    reqbus_status status = reqbus_bus_subscribe(reader->demo->bus, &options, &reader->subscription, &error);
    if (status != REQBUS_OK) fail_call(reader->demo, "reqbus_bus_subscribe", status, error);
    return status == REQBUS_OK;
}

/* Enters one item into the ledger. */
static void enter_item(struct reader *reader, size_t index) {
    reqbus_item item = {.size = sizeof item};
    reqbus_status status = reqbus_batch_item(reader->batch, index, &item);
    if (status != REQBUS_OK) {
        fail_call(reader->demo, "reqbus_batch_item", status, NULL);
        return;
    }
    switch (item.tag) {
    case REQBUS_ITEM_EVENT: {
        reqbus_request_event event = {.size = sizeof event};
        status = reqbus_batch_request(reader->batch, index, &event);
        if (status != REQBUS_OK) fail_call(reader->demo, "reqbus_batch_request", status, NULL);
        ledger_event(&reader->ledger, &item, content_of(&event));
        break;
    }
    case REQBUS_ITEM_LOST:
        ledger_lost(&reader->ledger, &item);
        break;
    case REQBUS_ITEM_RESYNC:
        ledger_resync(&reader->ledger, &item);
        reader->base = item.id.seq;
        break;
    default: /* an item that a later version of reqbus added */
        break;
    }
}

/* Enters a whole batch and returns the id up to which the reader now knows everything. */
static reqbus_id enter_batch(struct reader *reader) {
    size_t len = reqbus_batch_len(reader->batch);
    for (size_t index = 0; index < len; index++) enter_item(reader, index);
    reqbus_id settled = {0, 0};
    reqbus_status status = reqbus_batch_settled(reader->batch, &settled);
    if (status != REQBUS_OK) fail_call(reader->demo, "reqbus_batch_settled", status, NULL);
    ledger_settled(&reader->ledger, &settled);
    atomic_store_explicit(&reader->delivered, reader->ledger.events, memory_order_relaxed);
    atomic_store_explicit(&reader->lost, ledger_lost_sum(&reader->ledger), memory_order_relaxed);
    return settled;
}

/* Waits as this reader does. REQBUS_OK with items, REQBUS_CLOSED after the last. */
static reqbus_status read_batch(struct reader *reader, size_t most) {
    if (reader->bell == NULL)
        return reqbus_subscription_recv(reader->subscription, reader->batch, most, BATCH_BYTES, -1);
    for (;;) {
        /* No timeout: if the bell ever missed a wake, the demo would hang here and say so. */
        struct pollfd watched = {.fd = reader->bell_fd, .events = POLLIN};
        if (poll(&watched, 1, -1) < 0) continue; /* a signal */
        uint64_t token;
        size_t taken;
        reqbus_status status = reqbus_bell_take(reader->bell, &token, 1, &taken);
        if (status != REQBUS_OK) return status;
        if (taken == 0) continue;
        status = reqbus_subscription_recv(reader->subscription, reader->batch, most, BATCH_BYTES, 0);
        if (status != REQBUS_TIMEOUT) return status; /* bells may ring for nothing */
    }
}

static void *sleeper_run(void *argument) {
    struct reader *reader = argument;
    struct demo *demo = reader->demo;
    reqbus_status status;
    while ((status = read_batch(reader, BATCH_ITEMS)) == REQBUS_OK) {
        enter_batch(reader);
        sleep_until(demo, now_ns() + scaled_ns(demo, reader->plan->nap_ms * 1000000), &demo->publishing);
    }
    if (status != REQBUS_CLOSED) fail_call(demo, "reading", status, NULL);
    atomic_store(&reader->ended, true);
    return NULL;
}

static void sink_write(struct sink *sink, const char *bytes, size_t len) {
    sink->bytes += len;
    for (size_t at = 1; at < len; at++) sink->frames += bytes[at] == '\n' && bytes[at - 1] == '\n';
}

/* Writes the texts of a batch to the sink; each item must be one whole frame, ended by an empty line. */
static void write_frames(struct reader *reader) {
    reqbus_texts texts = {.size = sizeof texts};
    reqbus_status status = reqbus_batch_texts(reader->batch, &texts);
    if (status != REQBUS_OK) {
        fail_call(reader->demo, "reqbus_batch_texts", status, NULL);
        return;
    }
    uint64_t frames = reader->sink.frames;
    sink_write(&reader->sink, texts.buffer, texts.buffer_len); /* one write for the whole batch */
    frames = reader->sink.frames - frames;
    if (texts.count != reqbus_batch_len(reader->batch) || frames != texts.count)
        fail(reader->demo, "a batch of SSE texts does not hold one frame for each item");
}

static void *fast_run(void *argument) {
    struct reader *reader = argument;
    reqbus_status status;
    while ((status = reqbus_subscription_recv_texts(reader->subscription, reader->batch, REQBUS_FORM_SSE,
                                                    BATCH_ITEMS, BATCH_BYTES, -1)) == REQBUS_OK) {
        write_frames(reader);
        enter_batch(reader);
    }
    if (status != REQBUS_CLOSED) fail_call(reader->demo, "reading texts", status, NULL);
    atomic_store(&reader->ended, true);
    return NULL;
}

static uint64_t newest_seq(struct demo *demo) {
    reqbus_id newest = {0, 0};
    reqbus_status status = reqbus_bus_newest(demo->bus, &newest);
    if (status != REQBUS_OK) fail_call(demo, "reqbus_bus_newest", status, NULL);
    return newest.seq;
}

/* Fills `*stats`, and holds what they say to have matched against what was published since this
 * connection began after seq `base`: between two numbers while publishers are at work, else exact. */
static void check_matched(struct reader *reader, reqbus_subscription_stats *stats) {
    *stats = (reqbus_subscription_stats){.size = sizeof *stats};
    uint64_t least = newest_seq(reader->demo) - reader->base;
    reqbus_status status = reqbus_subscription_get_stats(reader->subscription, stats);
    if (status != REQBUS_OK) fail_call(reader->demo, "reqbus_subscription_get_stats", status, NULL);
    uint64_t most = newest_seq(reader->demo) - reader->base;
    if ((stats->matched < least || stats->matched > most) && reader->trouble[0] == '\0')
        say_into(reader->trouble,
                 "%s matched %" PRIu64 " events since seq %" PRIu64 ", where %" PRIu64 " to %" PRIu64
                 " were published",
                 reader->plan->name, stats->matched, reader->base, least, most);
}

/* Waits until the log has let go of the event after `settled`. */
static void stay_away(struct demo *demo, const reqbus_id *settled) {
    while (atomic_load(&demo->publishing) && !atomic_load(&demo->stopping)) {
        if (newest_seq(demo) > settled->seq + LOG_EVENTS) return;
        sleep_until(demo, now_ns() + 2000000, &demo->publishing);
    }
}

/* Drops the subscription with whatever is in it and makes a new one, unless the end has come. */
static bool drop_and_resume(struct reader *reader, const reqbus_id *settled) {
    struct demo *demo = reader->demo;
    bool resumed = true;
    pthread_mutex_lock(&demo->door);
    if (!demo->closed) {
        reqbus_subscription_stats stats;
        check_matched(reader, &stats);
        reqbus_subscription_free(&reader->subscription);
        reader->drops++;
        if (reader->drops % AWAY_EVERY == 0) stay_away(demo, settled);
        resumed = reader_subscribe(reader, settled);
        reader->base = settled->seq;
        ledger_connect(&reader->ledger);
        reader->resumes += resumed;
    }
    pthread_mutex_unlock(&demo->door);
    return resumed;
}

static void *resumer_run(void *argument) {
    struct reader *reader = argument;
    reqbus_status status;
    for (uint64_t batches = 1;; batches++) {
        size_t most = 2 + mixed(batches) % 9; /* small batches, so that a drop finds something unread */
        status = read_batch(reader, most);
        if (status != REQBUS_OK) break;
        reqbus_id settled = enter_batch(reader);
        if (batches % DROP_EVERY == 0 && !drop_and_resume(reader, &settled)) {
            atomic_store(&reader->ended, true);
            return NULL; /* told already */
        }
    }
    if (status != REQBUS_CLOSED) fail_call(reader->demo, "reading", status, NULL);
    atomic_store(&reader->ended, true);
    return NULL;
}

/* Makes everything of a reader but its thread; it is subscribed from here on. */
static bool reader_new(struct reader *reader, struct demo *demo, size_t which) {
    *reader = (struct reader){.demo = demo, .plan = &plans[which]};
    if (!ledger_new(&reader->ledger, demo->trace.len)) {
        fail(demo, "there is no memory for the readers' ledgers");
        return false;
    }
    reqbus_error *error = NULL;
    reqbus_status status = reqbus_batch_new(&reader->batch, &error);
    if (status != REQBUS_OK) {
        fail_call(demo, "reqbus_batch_new", status, error);
        return false;
    }
    if (!reader_subscribe(reader, NULL)) return false;
    if (which != OLDEST) return true;
    status = reqbus_bell_new(&reader->bell, &error);
    if (status == REQBUS_OK) status = reqbus_bell_fd(reader->bell, &reader->bell_fd, &error);
    if (status == REQBUS_OK) status = reqbus_subscription_attach(reader->subscription, reader->bell, which);
    if (status != REQBUS_OK) fail_call(demo, "making the bell", status, error);
    return status == REQBUS_OK;
}

static int reader_start(struct reader *reader) {
    size_t which = (size_t)(reader->plan - plans);
    return pthread_create(&reader->thread, NULL,
                          which == FAST      ? fast_run
                          : which == RESUMER ? resumer_run
                                             : sleeper_run,
                          reader);
}

static void reader_free(struct reader *reader) {
    reqbus_subscription_free(&reader->subscription);
    reqbus_batch_free(&reader->batch);
    reqbus_bell_free(&reader->bell);
    ledger_free(&reader->ledger);
}

#endif
