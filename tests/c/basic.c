/* Publish, subscribe, receive: each item field, a request event, texts. */
#include "check.h"

static void events(void) {
    reqbus_bus *bus = new_bus();
    reqbus_subscription *sub = subscribe(bus, NULL);
    reqbus_batch *batch = new_batch();
    CHECK(reqbus_batch_len(batch) == 0);
    IS(REQBUS_TIMEOUT, try_recv(sub, batch));

    reqbus_new_event event;
    INIT(event);
    event.kind = "deploy";
    event.kind_len = 6;
    event.key = "eu";
    event.key_len = 2;
    event.payload = "{\"version\":\"1.4\"}";
    event.payload_len = strlen((const char *)event.payload);
    event.timestamp_ns = 1700158546680590000u;
    reqbus_id id;
    OK(reqbus_bus_publish(bus, &event, &id, NULL));
    uint64_t epoch = 0;
    OK(reqbus_bus_epoch(bus, &epoch));
    CHECK(id.epoch == epoch && id.seq == 1);

    OK(try_recv(sub, batch));
    CHECK(reqbus_batch_len(batch) == 1);
    reqbus_item item = item_at(batch, 0);
    CHECK(item.tag == REQBUS_ITEM_EVENT && item.reason == 0 && item.reason_name == NULL);
    CHECK(item.id.epoch == epoch && item.id.seq == 1 && item.n == 1);
    CHECK(item.timestamp_ns == event.timestamp_ns);
    CHECK(same(item.kind, item.kind_len, "deploy") && same(item.key, item.key_len, "eu"));
    CHECK(item.payload_sort == REQBUS_PAYLOAD_JSON);
    CHECK(same(item.payload, item.payload_len, "{\"version\":\"1.4\"}"));
    CHECK(item.source == NULL && item.missed == 0 && item.next_n == 0);

    reqbus_id settled;
    OK(reqbus_batch_settled(batch, &settled));
    CHECK(settled.epoch == epoch && settled.seq == 1);
    OK(reqbus_subscription_settled(sub, &settled));
    CHECK(settled.seq == 1);

    OK(reqbus_batch_clear(batch));
    CHECK(reqbus_batch_len(batch) == 0);
    reqbus_item none;
    INIT(none);
    IS(REQBUS_NO_SUCH_ITEM, reqbus_batch_item(batch, 0, &none));

    /* Bytes may hold NULs. */
    event.payload = "\0\377";
    event.payload_len = 2;
    event.payload_sort = REQBUS_PAYLOAD_BYTES;
    OK(reqbus_bus_publish(bus, &event, NULL, NULL));
    OK(try_recv(sub, batch));
    item = item_at(batch, 0);
    CHECK(item.payload_sort == REQBUS_PAYLOAD_BYTES && item.payload_len == 2);
    CHECK(memcmp(item.payload, "\0\377", 2) == 0);

    reqbus_batch_free(&batch);
    reqbus_bus_free(&bus); /* before its subscription */
    reqbus_subscription_free(&sub);
}

static void many(void) {
    reqbus_bus *bus = new_bus();
    reqbus_subscription *sub = subscribe(bus, NULL);
    reqbus_batch *batch = new_batch();
    reqbus_new_event events[3];
    for (size_t i = 0; i < 3; i++) {
        INIT(events[i]);
        events[i].kind = "k";
        events[i].kind_len = 1;
        events[i].payload = &"abc"[i];
        events[i].payload_len = 1;
        events[i].payload_sort = REQBUS_PAYLOAD_TEXT;
    }
    reqbus_id last;
    OK(reqbus_bus_publish_many(bus, events, 3, sizeof events[0], &last, NULL));
    CHECK(last.seq == 3);
    /* One bad one: none is published. */
    events[1].kind_len = 0;
    IS(REQBUS_INVALID_ARGUMENT, reqbus_bus_publish_many(bus, events, 3, sizeof events[0], &last, NULL));
    OK(reqbus_bus_newest(bus, &last));
    CHECK(last.seq == 3);

    /* At most two items a read. */
    OK(reqbus_subscription_recv(sub, batch, 2, BYTES, 0));
    CHECK(reqbus_batch_len(batch) == 2);
    CHECK(same(item_at(batch, 1).payload, item_at(batch, 1).payload_len, "b"));
    OK(reqbus_subscription_recv(sub, batch, 2, BYTES, -1));
    CHECK(reqbus_batch_len(batch) == 1 && item_at(batch, 0).n == 3);
    reqbus_subscription_free(&sub);
    reqbus_batch_free(&batch);
    reqbus_bus_free(&bus);
}

static void requests(void) {
    reqbus_bus *bus = new_bus();
    reqbus_subscription *sub = subscribe(bus, NULL);
    reqbus_batch *batch = new_batch();
    reqbus_request_event ev;
    INIT(ev);
    ev.method = "POST";
    ev.method_len = 4;
    ev.path = "/v1/messages";
    ev.path_len = 12;
    ev.model = "m";
    ev.model_len = 1;
    ev.account_id = -7;
    ev.latency_ms = 812;
    ev.status = REQBUS_REQUEST_RATE_LIMITED;
    ev.timestamp_ns = 1700158546680590000u;
    ev.extra = "{\"tokens\":3,\"path\":\"clash\"}";
    ev.extra_len = strlen(ev.extra);
    OK(reqbus_bus_publish_request(bus, &ev));

    OK(try_recv(sub, batch));
    reqbus_item item = item_at(batch, 0);
    CHECK(same(item.kind, item.kind_len, "request"));
    CHECK(item.payload_sort == REQBUS_PAYLOAD_REQUEST && item.payload == NULL);
    reqbus_request_event back;
    INIT(back);
    OK(reqbus_batch_request(batch, 0, &back));
    CHECK(same(back.method, back.method_len, "POST") && same(back.path, back.path_len, "/v1/messages"));
    CHECK(same(back.model, back.model_len, "m") && same(back.key, back.key_len, ""));
    CHECK(back.account_id == -7 && back.latency_ms == 812);
    CHECK(back.status == REQBUS_REQUEST_RATE_LIMITED && back.timestamp_ns == ev.timestamp_ns);
    CHECK(same(back.extra, back.extra_len, ev.extra));
    reqbus_bus_stats stats;
    INIT(stats);
    OK(reqbus_bus_get_stats(bus, &stats));
    CHECK(stats.newest.seq == 1 && stats.extra_clashes == 1 && stats.subscriptions == 1);
    CHECK(stats.kept_events == 1 && stats.kept_bytes > 0 && stats.delivered == 1);

    OK(say(bus, "k", "", "x"));
    OK(try_recv(sub, batch));
    IS(REQBUS_NO_SUCH_ITEM, reqbus_batch_request(batch, 0, &back));
    IS(REQBUS_NO_SUCH_ITEM, reqbus_batch_request(batch, 1, &back));
    reqbus_subscription_free(&sub);
    reqbus_batch_free(&batch);
    reqbus_bus_free(&bus);
}

static void texts(void) {
    reqbus_bus *bus = new_bus();
    reqbus_subscription *sub = subscribe(bus, NULL);
    reqbus_batch *batch = new_batch();
    OK(say(bus, "k", "", "one\ntwo"));
    OK(say(bus, "k", "", "three"));
    OK(reqbus_subscription_recv_texts(sub, batch, REQBUS_FORM_SSE, MANY, BYTES, 1000));
    reqbus_texts out;
    INIT(out);
    OK(reqbus_batch_texts(batch, &out));
    CHECK(out.count == 2 && out.ends[1] == out.buffer_len);
    char id[REQBUS_ID_TEXT_MAX];
    size_t id_len;
    reqbus_id newest;
    OK(reqbus_bus_newest(bus, &newest));
    OK(reqbus_id_format(&newest, id, sizeof id, &id_len));
    char wanted[200];
    int len = snprintf(wanted, sizeof wanted, "id: %.*s\nevent: k\ndata: three\n\n", (int)id_len, id);
    CHECK(out.buffer_len - out.ends[0] == (size_t)len);
    CHECK(memcmp(out.buffer + out.ends[0], wanted, (size_t)len) == 0);

    /* A heartbeat carries the settled id. */
    char beat[128];
    size_t beat_len;
    OK(reqbus_subscription_heartbeat(sub, REQBUS_FORM_SSE, beat, sizeof beat, &beat_len));
    len = snprintf(wanted, sizeof wanted, "id: %.*s\n\n", (int)id_len, id);
    CHECK(beat_len == (size_t)len && memcmp(beat, wanted, beat_len) == 0);
    IS(REQBUS_BUFFER_TOO_SMALL, reqbus_subscription_heartbeat(sub, REQBUS_FORM_SSE, beat, 3, &beat_len));
    CHECK(beat_len == (size_t)len);

    /* A byte limit of texts: one longer text still comes, alone. */
    OK(say(bus, "k", "", "four"));
    OK(say(bus, "k", "", "five"));
    OK(reqbus_subscription_recv_texts(sub, batch, REQBUS_FORM_NDJSON, MANY, 1, 0));
    CHECK(reqbus_batch_len(batch) == 1);
    OK(try_recv(sub, batch));
    OK(reqbus_batch_texts(batch, &out));
    CHECK(out.count == 0 && reqbus_batch_len(batch) == 1);
    reqbus_subscription_free(&sub);
    reqbus_batch_free(&batch);
    reqbus_bus_free(&bus);
}

static void wanted(void) {
    reqbus_bus_options options;
    INIT(options);
    options.flags = REQBUS_BUS_NO_RESUME;
    reqbus_bus *bus = NULL;
    OK(reqbus_bus_new(&options, &bus, NULL));
    uint32_t kind = 0, again = 0, other = 0;
    OK(reqbus_bus_kind(bus, LIT("a"), &kind, NULL));
    OK(reqbus_bus_kind(bus, LIT("a"), &again, NULL));
    OK(reqbus_bus_kind(bus, LIT("b"), &other, NULL));
    CHECK(kind == again && kind != other);
    CHECK(reqbus_bus_wanted(bus, kind) == 0);
    reqbus_text kinds[] = {{"a", 1}};
    reqbus_subscribe_options how;
    INIT(how);
    how.kinds = kinds;
    how.kinds_count = 1;
    reqbus_subscription *sub = subscribe(bus, &how);
    CHECK(reqbus_bus_wanted(bus, kind) == 1 && reqbus_bus_wanted(bus, other) == 0);
    CHECK(reqbus_bus_wanted(bus, 12345) == 1);
    CHECK(reqbus_bus_wanted(NULL, kind) == 0);
    reqbus_subscription_free(&sub);
    CHECK(reqbus_bus_wanted(bus, kind) == 0);
    reqbus_bus_free(&bus);
}

static void consumers(void) {
    reqbus_bus *bus = new_bus();
    reqbus_text keys[] = {{"u2", 2}, {"u1", 2}};
    reqbus_subscribe_options how;
    INIT(how);
    how.keys = keys;
    how.keys_count = 2;
    how.overflow = REQBUS_OVERFLOW_DROP_OLDEST;
    how.label = "dashboard";
    how.label_len = 9;
    how.audience = "room";
    how.audience_len = 4;
    how.pid = 42;
    reqbus_subscription *a = subscribe(bus, NULL);
    reqbus_subscription *b = subscribe(bus, &how);
    OK(say(bus, "k", "u1", "x"));
    reqbus_consumers *all = NULL;
    OK(reqbus_bus_consumers(bus, &all, NULL));
    reqbus_subscription_free(&a);
    CHECK(reqbus_consumers_len(all) == 2); /* a snapshot */
    reqbus_consumer one;
    INIT(one);
    OK(reqbus_consumers_item(all, 1, &one));
    uint64_t id = 0;
    OK(reqbus_subscription_id(b, &id));
    CHECK(one.id == id && one.pid == 42 && one.closed == 0 && one.sleeping == 0);
    CHECK(same(one.label, one.label_len, "dashboard") && same(one.audience, one.audience_len, "room"));
    CHECK(one.overflow == REQBUS_OVERFLOW_DROP_OLDEST && one.capacity == 256);
    CHECK(one.matched == 1 && one.pending == 1 && one.delivered == 0);
    CHECK(one.keys_count == 2 && one.kinds_count == 0);
    reqbus_text name;
    OK(reqbus_consumers_key(all, 1, 0, &name));
    CHECK(same(name.ptr, name.len, "u1")); /* sorted */
    IS(REQBUS_NO_SUCH_ITEM, reqbus_consumers_key(all, 1, 2, &name));
    IS(REQBUS_NO_SUCH_ITEM, reqbus_consumers_kind(all, 1, 0, &name));
    IS(REQBUS_NO_SUCH_ITEM, reqbus_consumers_item(all, 2, &one));
    OK(reqbus_consumers_item(all, 0, &one));
    CHECK(one.overflow == REQBUS_OVERFLOW_DROP_NEWEST && one.capacity == 64 && one.audience == NULL);
    OK(reqbus_consumers_free(&all));
    reqbus_subscription_free(&b);
    reqbus_bus_free(&bus);
}

static void ids(void) {
    reqbus_id id, back;
    id.epoch = 0xabcu;
    id.seq = UINT64_MAX - 1;
    char text[REQBUS_ID_TEXT_MAX];
    size_t len = 0;
    OK(reqbus_id_format(&id, text, sizeof text, &len));
    CHECK(same(text, len, "0000000000000abc-18446744073709551614") && len == REQBUS_ID_TEXT_MAX);
    OK(reqbus_id_parse(text, len, &back));
    CHECK(back.epoch == id.epoch && back.seq == id.seq);
    len = 0;
    IS(REQBUS_BUFFER_TOO_SMALL, reqbus_id_format(&id, text, 5, &len));
    CHECK(len == REQBUS_ID_TEXT_MAX);
    len = 0;
    IS(REQBUS_BUFFER_TOO_SMALL, reqbus_id_format(&id, NULL, 0, &len));
    CHECK(len == REQBUS_ID_TEXT_MAX);
}

/* An empty text has an address, too: some hosts look at pointers. */
static void empty_texts(void) {
    reqbus_bus *bus = new_bus();
    reqbus_subscription *sub = NULL;
    OK(reqbus_bus_subscribe(bus, NULL, &sub, NULL));
    reqbus_new_event event;
    INIT(event);
    event.kind = "k";
    event.kind_len = 1;
    event.payload_sort = REQBUS_PAYLOAD_TEXT;
    OK(reqbus_bus_publish(bus, &event, NULL, NULL));
    reqbus_batch *batch = new_batch();
    OK(reqbus_subscription_recv(sub, batch, MANY, BYTES, 0));
    reqbus_item item = item_at(batch, 0);
    CHECK(item.key_len == 0 && item.key != NULL && *item.key == 0);
    CHECK(item.payload_len == 0 && item.payload != NULL && *(const char *)item.payload == 0);
    IS(REQBUS_TIMEOUT, reqbus_subscription_recv_texts(sub, batch, REQBUS_FORM_SSE, MANY, BYTES, 0));
    reqbus_texts texts;
    INIT(texts);
    OK(reqbus_batch_texts(batch, &texts));
    CHECK(texts.buffer_len == 0 && *texts.buffer == 0 && texts.count == 0 && *texts.ends == 0);
    OK(reqbus_batch_free(&batch));
    OK(reqbus_subscription_free(&sub));
    OK(reqbus_bus_free(&bus));
}

int main(void) {
    empty_texts();
    events();
    many();
    requests();
    texts();
    wanted();
    consumers();
    ids();
    puts("basic: ok");
    return 0;
}
