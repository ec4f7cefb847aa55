/* Promises B2 and B3 under three policies, four publishers and readers that sleep. */
#include "check.h"

#include <pthread.h>

enum { PUBLISHERS = 4, EACH = 5000, READERS = 3 };

static reqbus_bus *bus;

typedef struct {
    reqbus_subscription *sub;
    uint64_t delivered, missed, last_seq, next_n;
    int slow;
} reader;

static void *publisher(void *unused) {
    (void)unused;
    for (int i = 0; i < EACH; i++) OK(say(bus, "k", "", "0123456789"));
    return NULL;
}

/* Reads to the end, and checks that each hole in n was told at its place. */
static void *read_all(void *arg) {
    reader *r = (reader *)arg;
    reqbus_batch *batch = new_batch();
    r->next_n = 1;
    for (;;) {
        reqbus_status status = reqbus_subscription_recv(r->sub, batch, 100, BYTES, -1);
        if (status == REQBUS_CLOSED) break;
        CHECK(status == REQBUS_OK);
        for (size_t i = 0; i < reqbus_batch_len(batch); i++) {
            reqbus_item item = item_at(batch, i);
            if (item.tag == REQBUS_ITEM_LOST) {
                r->next_n += item.missed;
                r->missed += item.missed;
                CHECK(item.missed > 0 && item.next_n >= r->next_n);
            } else {
                CHECK(item.tag == REQBUS_ITEM_EVENT && item.n == r->next_n);
                CHECK(item.id.seq > r->last_seq && item.id.seq == item.n); /* no filter: n is the seq */
                r->last_seq = item.id.seq;
                r->next_n++;
                r->delivered++;
            }
        }
        if (r->slow) sleep_ms(1);
    }
    reqbus_batch_free(&batch);
    return NULL;
}

int main(void) {
    reqbus_bus_options options;
    INIT(options);
    options.log_events = 1000;
    OK(reqbus_bus_new(&options, &bus, NULL));
    reader readers[READERS];
    pthread_t reading[READERS], publishing[PUBLISHERS];
    memset(readers, 0, sizeof readers);
    for (uint32_t i = 0; i < READERS; i++) {
        reqbus_subscribe_options how;
        INIT(how);
        how.overflow = i; /* each policy once */
        readers[i].sub = subscribe(bus, &how);
        readers[i].slow = 1;
        CHECK(pthread_create(&reading[i], NULL, read_all, &readers[i]) == 0);
    }
    for (int i = 0; i < PUBLISHERS; i++)
        CHECK(pthread_create(&publishing[i], NULL, publisher, NULL) == 0);
    for (int i = 0; i < PUBLISHERS; i++) pthread_join(publishing[i], NULL);
    OK(reqbus_bus_close(bus));
    uint64_t lost = 0;
    for (int i = 0; i < READERS; i++) {
        pthread_join(reading[i], NULL);
        reqbus_subscription_stats s = stats_of(readers[i].sub);
        CHECK(s.matched == PUBLISHERS * EACH && s.pending == 0 && adds_up(&s));
        CHECK(s.delivered == readers[i].delivered);
        CHECK(s.lost_full + s.lost_window + s.lost_evicted == readers[i].missed);
        CHECK(readers[i].next_n == s.matched + 1); /* the last loss is told too */
        CHECK(i == 0 || s.lost_full == 0);
        CHECK(i == 1 || s.lost_window == 0);
        /* A drop-newest reader too can lose to the log, if publishers outrun the fan-out by all of it. */
        lost += readers[i].missed;
        OK(reqbus_subscription_free(&readers[i].sub));
    }
    reqbus_bus_stats all;
    INIT(all);
    OK(reqbus_bus_get_stats(bus, &all));
    CHECK(all.newest.seq == PUBLISHERS * EACH && all.matched == READERS * PUBLISHERS * EACH);
    CHECK(all.subscriptions == 0 && all.pending == 0 && all.abandoned == 0);
    OK(reqbus_bus_free(&bus));
    printf("overflow: ok, %llu lost and told\n", (unsigned long long)lost);
    return 0;
}
