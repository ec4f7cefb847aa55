/* Promise B4 from C: what a client that comes back with an id gets, at every position. */
#include "check.h"

/* Subscribes after `text`. */
static reqbus_subscription *after(reqbus_bus *bus, const char *text, size_t len) {
    reqbus_subscribe_options how;
    INIT(how);
    how.start = REQBUS_START_AFTER;
    how.overflow = REQBUS_OVERFLOW_CATCH_UP;
    how.after = text;
    how.after_len = len;
    return subscribe(bus, &how);
}

static reqbus_subscription *after_id(reqbus_bus *bus, uint64_t epoch, uint64_t seq) {
    char text[REQBUS_ID_TEXT_MAX];
    size_t len;
    reqbus_id id;
    id.epoch = epoch;
    id.seq = seq;
    OK(reqbus_id_format(&id, text, sizeof text, &len));
    return after(bus, text, len);
}

/* A resync with this reason, whose head is the newest event; then live, without a hole. */
static void is_resync(reqbus_bus *bus, reqbus_batch *batch, reqbus_subscription *sub, uint32_t reason,
                      const char *name) {
    reqbus_id newest;
    OK(reqbus_bus_newest(bus, &newest));
    OK(say(bus, "k", "", "live"));
    OK(try_recv(sub, batch));
    CHECK(reqbus_batch_len(batch) == 2);
    reqbus_item item = item_at(batch, 0);
    CHECK(item.tag == REQBUS_ITEM_RESYNC && item.reason == reason);
    CHECK(same(item.reason_name, item.reason_name_len, name));
    CHECK(item.id.epoch == newest.epoch && item.id.seq == newest.seq);
    item = item_at(batch, 1);
    CHECK(item.tag == REQBUS_ITEM_EVENT && item.id.seq == newest.seq + 1 && item.n == 1);
    CHECK(stats_of(sub).resyncs == 1);
    OK(reqbus_subscription_free(&sub));
}

/* Each position of a full log: 0 to the newest and one beyond. */
static void every_position(reqbus_batch *batch) {
    reqbus_bus_options options;
    INIT(options);
    options.log_events = 8;
    reqbus_bus *bus = NULL;
    OK(reqbus_bus_new(&options, &bus, NULL));
    for (int i = 0; i < 20; i++) OK(say(bus, "k", "", "x"));
    uint64_t epoch = 0;
    OK(reqbus_bus_epoch(bus, &epoch));
    for (uint64_t seq = 0; seq <= 21; seq++) {
        reqbus_subscription *sub = after_id(bus, epoch, seq);
        if (seq < 12 || seq > 20) {
            OK(try_recv(sub, batch));
            CHECK(reqbus_batch_len(batch) == 1);
            reqbus_item item = item_at(batch, 0);
            CHECK(item.tag == REQBUS_ITEM_RESYNC && item.id.seq == 20);
            CHECK(item.reason == (seq < 12 ? REQBUS_RESYNC_EXPIRED : REQBUS_RESYNC_AHEAD));
        } else if (seq == 20) {
            IS(REQBUS_TIMEOUT, try_recv(sub, batch));
        } else {
            OK(try_recv(sub, batch));
            CHECK(reqbus_batch_len(batch) == 20 - seq);
            for (size_t i = 0; i < reqbus_batch_len(batch); i++) {
                CHECK(item_at(batch, i).id.seq == seq + 1 + i && item_at(batch, i).n == 1 + i);
            }
        }
        OK(reqbus_subscription_free(&sub));
    }
    reqbus_bus_free(&bus);
}

/* A reader that is cut again and again, with publishes between: the union is each seq once. */
static void cut_again_and_again(reqbus_batch *batch) {
    reqbus_bus *bus = new_bus();
    uint64_t epoch = 0, last = 0, seen = 0;
    OK(reqbus_bus_epoch(bus, &epoch));
    for (int round = 0; round < 200; round++) {
        reqbus_subscription *sub = after_id(bus, epoch, last);
        for (int i = 0; i < round % 7; i++) OK(say(bus, "k", "", "x"));
        reqbus_status status = reqbus_subscription_recv(sub, batch, 1 + (size_t)round % 5, BYTES, 0);
        CHECK(status == REQBUS_OK || status == REQBUS_TIMEOUT);
        for (size_t i = 0; i < reqbus_batch_len(batch); i++) {
            reqbus_item item = item_at(batch, i);
            CHECK(item.tag == REQBUS_ITEM_EVENT && item.id.seq == last + 1);
            last = item.id.seq;
            seen++;
        }
        OK(reqbus_subscription_free(&sub));
    }
    CHECK(seen == last && seen > 0);
    reqbus_bus_free(&bus);
}

int main(void) {
    reqbus_batch *batch = new_batch();
    reqbus_bus *bus = new_bus();
    for (int i = 0; i < 3; i++) OK(say(bus, "k", "", "x"));
    uint64_t epoch = 0;
    OK(reqbus_bus_epoch(bus, &epoch));
    is_resync(bus, batch, after(bus, NULL, 0), REQBUS_RESYNC_MALFORMED, "malformed");
    is_resync(bus, batch, after(bus, "12-3-4", 6), REQBUS_RESYNC_MALFORMED, "malformed");
    is_resync(bus, batch, after(bus, "\0\xff", 2), REQBUS_RESYNC_MALFORMED, "malformed");
    is_resync(bus, batch, after_id(bus, epoch + 1, 1), REQBUS_RESYNC_EPOCH, "epoch");
    is_resync(bus, batch, after_id(bus, epoch, 100), REQBUS_RESYNC_AHEAD, "ahead");
    is_resync(bus, batch, after_id(bus, epoch, UINT64_MAX - 1), REQBUS_RESYNC_AHEAD, "ahead");
    is_resync(bus, batch, after_id(bus, epoch, UINT64_MAX), REQBUS_RESYNC_MALFORMED, "malformed");
    reqbus_bus_free(&bus);
    every_position(batch);
    cut_again_and_again(batch);
    reqbus_batch_free(&batch);
    puts("resume: ok");
    return 0;
}
