/* Every sort of bad input has one status, and leaves nothing behind. */
#include "check.h"

static reqbus_bus *bus;
static reqbus_subscription *sub;
static reqbus_batch *batch;

static reqbus_new_event good(void) {
    reqbus_new_event event;
    INIT(event);
    event.kind = "k";
    event.kind_len = 1;
    event.payload = "1";
    event.payload_len = 1;
    return event;
}

static reqbus_status publish(const reqbus_new_event *event) {
    return reqbus_bus_publish(bus, event, NULL, NULL);
}

static void events(void) {
    static char big[(1 << 20) + 1];
    memset(big, 'x', sizeof big);
    reqbus_error *error = NULL;
    reqbus_new_event event = good();
    told(REQBUS_NULL_ARGUMENT, reqbus_bus_publish(bus, NULL, NULL, &error), &error, "reqbus_new_event");

    event = good();
    event.kind = NULL;
    told(REQBUS_NULL_WITH_LENGTH, reqbus_bus_publish(bus, &event, NULL, &error), &error, "kind");
    event.kind_len = 0;
    told(REQBUS_INVALID_ARGUMENT, reqbus_bus_publish(bus, &event, NULL, &error), &error, "kind");
    event = good();
    event.kind = "\xff";
    told(REQBUS_INVALID_UTF8, reqbus_bus_publish(bus, &event, NULL, &error), &error, "kind");
    event = good();
    event.kind = "a\nb";
    event.kind_len = 3;
    IS(REQBUS_INVALID_ARGUMENT, publish(&event));
    event.kind = "reqbus.lost";
    event.kind_len = 11;
    told(REQBUS_RESERVED_KIND, reqbus_bus_publish(bus, &event, NULL, &error), &error, "kind");
    event.kind = big;
    event.kind_len = 256;
    told(REQBUS_TOO_LARGE, reqbus_bus_publish(bus, &event, NULL, &error), &error, "kind");
    event.kind_len = 255;
    OK(publish(&event));
    OK(try_recv(sub, batch));

    event = good();
    event.key = big;
    event.key_len = 300;
    told(REQBUS_TOO_LARGE, reqbus_bus_publish(bus, &event, NULL, &error), &error, "key");
    event.key_len = SIZE_MAX;
    told(REQBUS_LENGTH_OVERFLOW, reqbus_bus_publish(bus, &event, NULL, &error), &error, "key");
    event.key = "\xc3";
    event.key_len = 1;
    told(REQBUS_INVALID_UTF8, reqbus_bus_publish(bus, &event, NULL, &error), &error, "key");

    event = good();
    event.payload = NULL;
    told(REQBUS_NULL_WITH_LENGTH, reqbus_bus_publish(bus, &event, NULL, &error), &error, "payload");
    event.payload = "{\"a\":";
    event.payload_len = 5;
    told(REQBUS_INVALID_JSON, reqbus_bus_publish(bus, &event, NULL, &error), &error, "payload");
    event.payload = "";
    event.payload_len = 0;
    IS(REQBUS_INVALID_JSON, publish(&event));
    event.payload = "\"\xff\"";
    event.payload_len = 3;
    told(REQBUS_INVALID_UTF8, reqbus_bus_publish(bus, &event, NULL, &error), &error, "payload");
    event.payload_sort = REQBUS_PAYLOAD_TEXT;
    told(REQBUS_INVALID_UTF8, reqbus_bus_publish(bus, &event, NULL, &error), &error, "payload");
    event.payload = big;
    event.payload_len = sizeof big;
    told(REQBUS_TOO_LARGE, reqbus_bus_publish(bus, &event, NULL, &error), &error, "payload");
    event.payload_sort = REQBUS_PAYLOAD_REQUEST;
    told(REQBUS_INVALID_ARGUMENT, reqbus_bus_publish(bus, &event, NULL, &error), &error, "payload_sort");
    event.payload_sort = 77;
    IS(REQBUS_INVALID_ARGUMENT, publish(&event));
    event = good();
    event.timestamp_ns = (uint64_t)1 << 63;
    told(REQBUS_INVALID_ARGUMENT, reqbus_bus_publish(bus, &event, NULL, &error), &error, "timestamp");
    event = good();
    event.flags = 2;
    told(REQBUS_UNKNOWN_OPTION, reqbus_bus_publish(bus, &event, NULL, &error), &error, "flags");

    reqbus_request_event request;
    INIT(request);
    request.status = 3;
    IS(REQBUS_INVALID_ARGUMENT, reqbus_bus_publish_request(bus, &request));
    request.status = 0;
    request.extra = "[1]";
    request.extra_len = 3;
    told(REQBUS_INVALID_JSON, reqbus_bus_publish_request_id(bus, &request, NULL, &error), &error, "extra");
    request.extra = "{\"a\":1} x";
    request.extra_len = 9;
    IS(REQBUS_INVALID_JSON, reqbus_bus_publish_request(bus, &request));
    request.extra_len = 0;
    request.path = big;
    request.path_len = sizeof big;
    IS(REQBUS_TOO_LARGE, reqbus_bus_publish_request(bus, &request));
    request.path_len = 0;
    request.key = big;
    request.key_len = 300;
    IS(REQBUS_TOO_LARGE, reqbus_bus_publish_request(bus, &request));
    IS(REQBUS_NULL_ARGUMENT, reqbus_bus_publish_request(bus, NULL));

    event = good();
    IS(REQBUS_INVALID_ARGUMENT, reqbus_bus_publish_many(bus, &event, 0, sizeof event, NULL, NULL));
    IS(REQBUS_INVALID_SIZE, reqbus_bus_publish_many(bus, &event, 1, 0, NULL, NULL));
    IS(REQBUS_INVALID_SIZE, reqbus_bus_publish_many(bus, &event, 1, 8, NULL, NULL));
    IS(REQBUS_NULL_WITH_LENGTH, reqbus_bus_publish_many(bus, NULL, 1, sizeof event, NULL, NULL));
    IS(REQBUS_LENGTH_OVERFLOW, reqbus_bus_publish_many(bus, &event, SIZE_MAX, 1000, NULL, NULL));
    IS(REQBUS_LENGTH_OVERFLOW, reqbus_bus_publish_many(bus, &event, SIZE_MAX / 16, 16, NULL, NULL));
}

/* A caller that is newer than the library, by one field. */
typedef struct {
    reqbus_bus_options known;
    uint64_t newer;
} newer_options;

static void sizes(void) {
    reqbus_error *error = NULL;
    reqbus_bus *other = NULL;
    reqbus_bus_options options;
    memset(&options, 0, sizeof options);
    told(REQBUS_INVALID_SIZE, reqbus_bus_new(&options, &other, &error), &error, "reqbus_bus_options");
    CHECK(other == NULL);
    options.size = sizeof options + 1;
    IS(REQBUS_INVALID_SIZE, reqbus_bus_new(&options, &other, NULL));
    options.size = SIZE_MAX;
    IS(REQBUS_INVALID_SIZE, reqbus_bus_new(&options, &other, NULL));
    options.size = sizeof options;
    options.flags = 1u << 31;
    told(REQBUS_UNKNOWN_OPTION, reqbus_bus_new(&options, &other, &error), &error, "flags");
    options.flags = 0;
    options.log_events = SIZE_MAX;
    told(REQBUS_INVALID_ARGUMENT, reqbus_bus_new(&options, &other, &error), &error, "log_events");
    options.log_events = 0;
    options.log_bytes = 1;
    told(REQBUS_INVALID_ARGUMENT, reqbus_bus_new(&options, &other, &error), &error, "log_bytes");

    /* An older caller, whose struct ended after its second field: the rest has its default. */
    options.size = 2 * sizeof(size_t);
    options.log_events = 4;
    options.log_bytes = 1; /* beyond its end: not read */
    options.flags = 1u << 31;
    OK(reqbus_bus_new(&options, &other, NULL));
    for (int i = 0; i < 6; i++) OK(say(other, "k", "", "x"));
    reqbus_bus_stats stats;
    INIT(stats);
    OK(reqbus_bus_get_stats(other, &stats));
    CHECK(stats.kept_events == 4);
    OK(reqbus_bus_free(&other));

    /* A newer caller: fine as long as it does not use what is new. */
    newer_options newer;
    memset(&newer, 0, sizeof newer);
    newer.known.size = sizeof newer;
    OK(reqbus_bus_new(&newer.known, &other, NULL));
    OK(reqbus_bus_free(&other));
    newer.newer = 1;
    told(REQBUS_UNKNOWN_OPTION, reqbus_bus_new(&newer.known, &other, &error), &error, "reqbus_bus_options");

    /* What is filled: as far as both know it, and zero beyond. */
    struct {
        reqbus_bus_stats known;
        uint64_t newer;
    } wide;
    memset(&wide, 0xff, sizeof wide);
    wide.known.size = sizeof wide;
    OK(reqbus_bus_get_stats(bus, &wide.known));
    CHECK(wide.known.size == sizeof wide && wide.newer == 0 && wide.known.subscriptions == 1);
    memset(&stats, 0xff, sizeof stats);
    stats.size = sizeof(size_t) + sizeof(reqbus_id);
    OK(reqbus_bus_get_stats(bus, &stats));
    CHECK(stats.newest.epoch != UINT64_MAX && stats.subscriptions == UINT64_MAX);
    stats.size = 0;
    IS(REQBUS_INVALID_SIZE, reqbus_bus_get_stats(bus, &stats));
    IS(REQBUS_NULL_ARGUMENT, reqbus_bus_get_stats(bus, NULL));
    IS(REQBUS_MISALIGNED, reqbus_bus_get_stats(bus, (reqbus_bus_stats *)((char *)&stats + 1)));
}

static void subscribing(void) {
    static char long_id[10000];
    memset(long_id, '1', sizeof long_id);
    reqbus_error *error = NULL;
    reqbus_subscription *other = NULL;
    reqbus_subscribe_options how;
    reqbus_text names[2] = {{"a", 1}, {NULL, 1}};

    IS(REQBUS_NULL_ARGUMENT, reqbus_bus_subscribe(bus, NULL, NULL, NULL));
    INIT(how);
    how.flags = 2;
    told(REQBUS_UNKNOWN_OPTION, reqbus_bus_subscribe(bus, &how, &other, &error), &error, "flags");
    INIT(how);
    how.start = 3;
    told(REQBUS_INVALID_ARGUMENT, reqbus_bus_subscribe(bus, &how, &other, &error), &error, "start");
    INIT(how);
    how.overflow = 3;
    told(REQBUS_INVALID_ARGUMENT, reqbus_bus_subscribe(bus, &how, &other, &error), &error, "overflow");
    INIT(how);
    how.after = "x";
    how.after_len = 1;
    told(REQBUS_INVALID_ARGUMENT, reqbus_bus_subscribe(bus, &how, &other, &error), &error, "after");
    INIT(how);
    how.overflow = REQBUS_OVERFLOW_CATCH_UP;
    how.capacity = 1;
    told(REQBUS_INVALID_ARGUMENT, reqbus_bus_subscribe(bus, &how, &other, &error), &error, "capacity");
    how.capacity = 0;
    how.capacity_bytes = 1;
    told(REQBUS_INVALID_ARGUMENT, reqbus_bus_subscribe(bus, &how, &other, &error), &error, "capacity_bytes");
    INIT(how);
    how.capacity = 65537;
    told(REQBUS_INVALID_ARGUMENT, reqbus_bus_subscribe(bus, &how, &other, &error), &error, "capacity");
    INIT(how);
    how.label = long_id;
    how.label_len = 256;
    told(REQBUS_TOO_LARGE, reqbus_bus_subscribe(bus, &how, &other, &error), &error, "label");
    INIT(how);
    how.audience = long_id;
    how.audience_len = 300;
    told(REQBUS_TOO_LARGE, reqbus_bus_subscribe(bus, &how, &other, &error), &error, "audience");
    INIT(how);
    how.keys = names;
    how.keys_count = 2;
    told(REQBUS_NULL_WITH_LENGTH, reqbus_bus_subscribe(bus, &how, &other, &error), &error, "keys");
    names[1].ptr = long_id;
    names[1].len = 300;
    told(REQBUS_TOO_LARGE, reqbus_bus_subscribe(bus, &how, &other, &error), &error, "keys");
    how.keys = NULL;
    told(REQBUS_NULL_WITH_LENGTH, reqbus_bus_subscribe(bus, &how, &other, &error), &error, "keys");
    how.keys = names;
    how.keys_count = SIZE_MAX;
    told(REQBUS_LENGTH_OVERFLOW, reqbus_bus_subscribe(bus, &how, &other, &error), &error, "keys");
    how.keys = (const reqbus_text *)((const char *)names + 1);
    how.keys_count = 1;
    told(REQBUS_MISALIGNED, reqbus_bus_subscribe(bus, &how, &other, &error), &error, "keys");
    INIT(how);
    names[0].len = 0;
    how.kinds = names;
    how.kinds_count = 1;
    told(REQBUS_INVALID_ARGUMENT, reqbus_bus_subscribe(bus, &how, &other, &error), &error, "kinds");
    CHECK(other == NULL);

    /* An id of 10 kB is no error: a resync says that it is none. */
    INIT(how);
    how.start = REQBUS_START_AFTER;
    how.after = long_id;
    how.after_len = sizeof long_id;
    OK(reqbus_bus_subscribe(bus, &how, &other, &error));
    CHECK(error == NULL);
    OK(try_recv(other, batch));
    CHECK(item_at(batch, 0).reason == REQBUS_RESYNC_MALFORMED);
    OK(reqbus_subscription_free(&other));
    how.after = NULL;
    IS(REQBUS_NULL_WITH_LENGTH, reqbus_bus_subscribe(bus, &how, &other, NULL));
    reqbus_id id;
    IS(REQBUS_MALFORMED_ID, reqbus_id_parse(long_id, sizeof long_id, &id));
    IS(REQBUS_MALFORMED_ID, reqbus_id_parse(NULL, 0, &id));
    IS(REQBUS_NULL_WITH_LENGTH, reqbus_id_parse(NULL, 5, &id));
    IS(REQBUS_NULL_ARGUMENT, reqbus_id_parse("x", 1, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_id_format(NULL, long_id, 100, &id.epoch));
}

static void reading(void) {
    IS(REQBUS_INVALID_ARGUMENT, reqbus_subscription_recv(sub, batch, 0, BYTES, 0));
    IS(REQBUS_INVALID_ARGUMENT, reqbus_subscription_recv(sub, batch, 1, 0, 0));
    IS(REQBUS_INVALID_ARGUMENT, reqbus_subscription_recv(sub, batch, 1, 1, -2));
    IS(REQBUS_INVALID_ARGUMENT, reqbus_subscription_recv_texts(sub, batch, 4, 1, 1, 0));
    IS(REQBUS_NULL_ARGUMENT, reqbus_subscription_recv(sub, NULL, 1, 1, 0));
    IS(REQBUS_NULL_ARGUMENT, reqbus_subscription_attach(sub, NULL, 1));
    reqbus_item item;
    INIT(item);
    IS(REQBUS_NO_SUCH_ITEM, reqbus_batch_item(batch, SIZE_MAX, &item));
    OK(say(bus, "k", "", "x"));
    OK(try_recv(sub, batch));
    item.size = 0;
    IS(REQBUS_INVALID_SIZE, reqbus_batch_item(batch, 0, &item));
    IS(REQBUS_NULL_ARGUMENT, reqbus_batch_item(batch, 0, NULL));
    item.size = 16;
    item.n = 99;
    OK(reqbus_batch_item(batch, 0, &item));
    CHECK(item.tag == REQBUS_ITEM_EVENT && item.n == 99);

    reqbus_bell *bell = NULL;
    OK(reqbus_bell_new(&bell, NULL));
    uint64_t token;
    size_t taken = 7;
    IS(REQBUS_INVALID_ARGUMENT, reqbus_bell_take(bell, &token, 0, &taken));
    IS(REQBUS_NULL_WITH_LENGTH, reqbus_bell_take(bell, NULL, 1, &taken));
    IS(REQBUS_NULL_ARGUMENT, reqbus_bell_take(bell, &token, 1, NULL));
    IS(REQBUS_INVALID_ARGUMENT, reqbus_bell_wait(bell, &token, 1, -5, &taken));
    IS(REQBUS_TIMEOUT, reqbus_bell_wait(bell, &token, 1, 0, &taken));
    CHECK(taken == 0);
    OK(reqbus_bell_free(&bell));
}

static void statuses(void) {
    char source[8];
    reqbus_error *error = NULL;
    for (int i = 0; i < 64; i++) {
        int len = snprintf(source, sizeof source, "s%d", i);
        OK(reqbus_bus_set_status(bus, source, (size_t)len, "up", 2, NULL, 0, NULL));
    }
    told(REQBUS_TOO_MANY_SOURCES, reqbus_bus_set_status(bus, LIT("one more"), "up", 2, NULL, 0, &error),
         &error, "source");
    OK(reqbus_bus_set_status(bus, "s0", 2, "gone", 4, NULL, 0, NULL));
    OK(reqbus_bus_set_status(bus, LIT("one more"), "up", 2, NULL, 0, NULL));
    IS(REQBUS_INVALID_ARGUMENT, reqbus_bus_set_status(bus, "", 0, "up", 2, NULL, 0, NULL));
    IS(REQBUS_INVALID_UTF8, reqbus_bus_set_status(bus, "\x80", 1, "up", 2, NULL, 0, NULL));
}

int main(void) {
    bus = new_bus();
    sub = subscribe(bus, NULL);
    batch = new_batch();
    events();
    sizes();
    subscribing();
    reading();
    statuses();

    /* Nothing was published by a refused call, and nothing lost besides what is counted. */
    reqbus_id newest;
    OK(reqbus_bus_newest(bus, &newest));
    CHECK(newest.seq == 2);
    reqbus_subscription_stats stats = stats_of(sub);
    CHECK(stats.matched == 2 && stats.delivered == 2 && adds_up(&stats));

    OK(reqbus_bus_close(bus));
    OK(reqbus_bus_close(bus));
    reqbus_error *error = NULL;
    reqbus_new_event event = good();
    told(REQBUS_CLOSED, reqbus_bus_publish(bus, &event, NULL, &error), &error, "bus");
    IS(REQBUS_CLOSED, reqbus_bus_set_status(bus, "s", 1, "up", 2, NULL, 0, NULL));
    reqbus_subscription *late = NULL;
    IS(REQBUS_CLOSED, reqbus_bus_subscribe(bus, NULL, &late, NULL));
    CHECK(late == NULL);
    OK(try_recv(sub, batch)); /* the statuses that came before the close */
    IS(REQBUS_CLOSED, try_recv(sub, batch));
    OK(reqbus_subscription_free(&sub));
    OK(reqbus_subscription_free(&sub));
    OK(reqbus_batch_free(&batch));
    OK(reqbus_bus_free(&bus));
    puts("bad_input: ok");
    return 0;
}
