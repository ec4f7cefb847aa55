/* Promise B10: statuses are latest values, apart from events. */
#include "check.h"

static void set(reqbus_bus *bus, const char *source, const char *state, const char *detail) {
    OK(reqbus_bus_set_status(bus, source, strlen(source), state, strlen(state), detail, strlen(detail),
                             NULL));
}

static void is_status(const reqbus_batch *batch, size_t at, const char *source, const char *state,
                      const char *detail) {
    reqbus_item item = item_at(batch, at);
    CHECK(item.tag == REQBUS_ITEM_STATUS && item.n == 0 && item.id.seq == 0);
    CHECK(same(item.source, item.source_len, source) && same(item.state, item.state_len, state));
    CHECK(same(item.detail, item.detail_len, detail));
}

int main(void) {
    reqbus_bus *bus = new_bus();
    reqbus_batch *batch = new_batch();
    set(bus, "a", "connecting", "");
    reqbus_text keys[] = {{"nobody", 6}};
    reqbus_subscribe_options how;
    INIT(how);
    how.keys = keys;
    how.keys_count = 1; /* statuses ignore filters */
    reqbus_subscription *sub = subscribe(bus, &how);
    OK(try_recv(sub, batch));
    CHECK(reqbus_batch_len(batch) == 1);
    is_status(batch, 0, "a", "connecting", "");

    /* Only the latest of each source since the last batch, and none without a change. */
    set(bus, "a", "connected", "1");
    set(bus, "a", "connected", "2");
    OK(try_recv(sub, batch));
    CHECK(reqbus_batch_len(batch) == 1);
    is_status(batch, 0, "a", "connected", "2");
    set(bus, "a", "connected", "2");
    IS(REQBUS_TIMEOUT, try_recv(sub, batch));

    /* Ahead of the events of their batch, and pushing none out. */
    INIT(how);
    how.capacity = 1;
    reqbus_subscription *narrow = subscribe(bus, &how);
    OK(say(bus, "k", "", "x"));
    for (int i = 0; i < 100; i++) set(bus, "b", "up", i % 2 ? "odd" : "even");
    OK(try_recv(narrow, batch));
    CHECK(reqbus_batch_len(batch) == 3);
    is_status(batch, 0, "a", "connected", "2");
    is_status(batch, 1, "b", "up", "odd");
    CHECK(item_at(batch, 2).tag == REQBUS_ITEM_EVENT);
    reqbus_subscription_stats s = stats_of(narrow);
    CHECK(s.matched == 1 && s.delivered == 1 && adds_up(&s));

    /* A status wakes, and comes as text too. */
    set(bus, "a", "gone", "");
    OK(reqbus_subscription_recv_texts(narrow, batch, REQBUS_FORM_ENVELOPE, MANY, BYTES, 1000));
    is_status(batch, 0, "a", "gone", "");
    reqbus_texts texts;
    INIT(texts);
    OK(reqbus_batch_texts(batch, &texts));
    CHECK(texts.count == 1 && memcmp(texts.buffer, "{\"kind\":\"reqbus.status\"", 23) == 0);
    reqbus_subscription *late = subscribe(bus, NULL);
    OK(try_recv(late, batch));
    CHECK(reqbus_batch_len(batch) == 1); /* `a` is gone */

    OK(reqbus_subscription_free(&late));
    OK(reqbus_subscription_free(&narrow));
    OK(reqbus_subscription_free(&sub));
    OK(reqbus_batch_free(&batch));
    OK(reqbus_bus_free(&bus));
    puts("status: ok");
    return 0;
}
