/* What pools and runners tell on a bus, as C sees it. */
#include "slotting.h"

typedef struct {
    reqbus_bus *bus;
    reqbus_subscription *sub;
    reqbus_batch *batch;
} world;

static world new_world(void) {
    world w = { new_bus(), NULL, new_batch() };
    OK(reqbus_bus_subscribe(w.bus, NULL, &w.sub, NULL));
    return w;
}

static void free_world(world *w) {
    OK(reqbus_batch_free(&w->batch));
    OK(reqbus_subscription_free(&w->sub));
    OK(reqbus_bus_free(&w->bus));
}

/* Reads one event, and compares it. */
static void hears(const world *w, const char *kind, const char *key, const char *payload) {
    OK(reqbus_subscription_recv(w->sub, w->batch, 1, BYTES, 0));
    reqbus_item item = item_at(w->batch, 0);
    CHECK(item.tag == REQBUS_ITEM_EVENT);
    if (!same(item.kind, item.kind_len, kind) || !same(item.key, item.key_len, key) ||
        !same(item.payload, item.payload_len, payload)) {
        fprintf(stderr, "told %.*s %.*s %.*s\nnot  %s %s %s\n", (int)item.kind_len, item.kind, (int)item.key_len,
                item.key, (int)item.payload_len, (const char *)item.payload, kind, key, payload);
        exit(1);
    }
}

static void hears_nothing(const world *w) {
    IS(REQBUS_TIMEOUT, reqbus_subscription_recv(w->sub, w->batch, 1, BYTES, 0));
}

static reqbus_pool *pool_with(const reqbus_teller *teller) {
    reqbus_pool_options options;
    INIT(options);
    options.teller = teller;
    reqbus_pool *pool = NULL;
    OK(reqbus_pool_new(&options, &pool, NULL));
    return pool;
}

static void slots(void) {
    world w = new_world();
    reqbus_text kinds[] = { { LIT("slot.granted") }, { LIT("slot.refused") }, { LIT("slot.lost") } };
    reqbus_teller_options options;
    INIT(options);
    options.kinds = kinds;
    options.kinds_count = 3;
    reqbus_teller *teller = NULL;
    OK(reqbus_teller_new(w.bus, &options, &teller, NULL));
    reqbus_pool *pool = pool_with(teller);
    OK(reqbus_teller_free(&teller)); /* the pool goes on to tell */
    CHECK(teller == NULL);
    OK(reqbus_teller_free(&teller));

    reqbus_ask user = ask_of("user", "42", 1);
    reqbus_slot *slot = NULL;
    OK(reqbus_pool_try_acquire(pool, &user, 1, LIT("r-1"), &slot, NULL, NULL));
    hears(&w, "slot.granted", "42", "{\"keys\":[{\"id\":\"42\",\"scope\":\"user\"}],\"label\":\"r-1\",\"pings\":0,\"waited_ms\":0}");
    reqbus_slot *none = NULL;
    IS(REQBUS_SLOT_BUSY, reqbus_pool_try_acquire(pool, &user, 1, LIT("r-2"), &none, NULL, NULL));
    hears(&w, "slot.refused", "42",
         "{\"id\":\"42\",\"in_use\":1,\"label\":\"r-2\",\"limit\":1,\"outcome\":\"busy\",\"pings\":0,\"position\":0,"
         "\"retry_after_s\":null,\"scope\":\"user\",\"waited_ms\":0,\"waiting\":0}");
    reqbus_ask secret = ask_of("api_key", "sk-1", 1);
    reqbus_slot *other = take_one(pool, &secret);
    hears(&w, "slot.granted", "", "{\"keys\":[{\"id\":null,\"scope\":\"api_key\"}],\"label\":\"\",\"pings\":0,\"waited_ms\":0}");
    hears_nothing(&w);
    OK(reqbus_slot_free(&slot));
    OK(reqbus_slot_free(&other));
    OK(reqbus_pool_free(&pool));
    free_world(&w);
}

static int32_t list_one(void *ctx, reqbus_due_list *list) {
    (void)ctx;
    OK(reqbus_due_list_add(list, LIT("acc-1"), 0));
    return 1;
}

static int32_t check_one(void *ctx, const reqbus_permit *permit) {
    (void)permit;
    (void)ctx;
    return 0; /* it is not well */
}

static void checks(void) {
    world w = new_world();
    reqbus_text kinds[] = { { LIT("check.finished") } };
    reqbus_teller_options options;
    INIT(options);
    options.kinds = kinds;
    options.kinds_count = 1;
    reqbus_teller *teller = NULL;
    OK(reqbus_teller_new(w.bus, &options, &teller, NULL));
    reqbus_runner_options how;
    INIT(how);
    how.teller = teller;
    reqbus_due_callback due;
    reqbus_check_callback check;
    memset(&due, 0, sizeof due);
    memset(&check, 0, sizeof check);
    due.call = list_one;
    check.call = check_one;
    reqbus_runner *runner = NULL;
    OK(reqbus_runner_new(&how, &due, &check, &runner, NULL));
    OK(reqbus_runner_start(runner, NULL));
    OK(reqbus_subscription_recv(w.sub, w.batch, 1, BYTES, 10000));
    reqbus_item item = item_at(w.batch, 0);
    CHECK(same(item.kind, item.kind_len, "check.finished") && same(item.key, item.key_len, "acc-1"));
    CHECK(memmem(item.payload, item.payload_len, LIT("\"verdict\":\"failed\"")) != NULL);
    OK(reqbus_runner_free(&runner));
    OK(reqbus_teller_free(&teller));
    free_world(&w);
}

static void bad_input(void) {
    world w = new_world();
    reqbus_text kinds[] = { { LIT("slot.eaten") } };
    reqbus_teller_options options;
    INIT(options);
    options.kinds = kinds;
    options.kinds_count = 1;
    reqbus_teller *teller = NULL;
    reqbus_error *error = NULL;
    IS(REQBUS_INVALID_ARGUMENT, reqbus_teller_new(w.bus, &options, &teller, &error));
    CHECK(teller == NULL && error != NULL);
    OK(reqbus_error_free(&error));
    IS(REQBUS_NULL_ARGUMENT, reqbus_teller_new(NULL, NULL, &teller, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_teller_new(w.bus, NULL, NULL, NULL));
    uint64_t failed = 77;
    IS(REQBUS_NULL_ARGUMENT, reqbus_teller_failed(NULL, &failed));

    /* A closed bus: counted, and the pool goes on. */
    kinds[0].ptr = "slot.granted";
    kinds[0].len = strlen("slot.granted");
    OK(reqbus_teller_new(w.bus, &options, &teller, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_teller_failed(teller, NULL));
    reqbus_pool *pool = pool_with(teller);
    OK(reqbus_bus_close(w.bus));
    reqbus_ask user = ask_of("user", "42", 1);
    reqbus_slot *slot = take_one(pool, &user);
    OK(reqbus_teller_failed(teller, &failed));
    CHECK(failed == 1);
    OK(reqbus_slot_free(&slot));
    OK(reqbus_pool_free(&pool));
    OK(reqbus_teller_free(&teller));
    free_world(&w);
}

int main(void) {
    slots();
    checks();
    bad_input();
    threads_end();
    puts("teller: ok");
    return 0;
}
