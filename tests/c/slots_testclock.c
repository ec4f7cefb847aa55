/* Slots on a clock that the test drives, and on a store whose line is bad. */
#include "slotting.h"

#include <reqbus_test.h>

static const uint64_t SECOND = 1000000000u;

static void advance(reqbus_test_clock *clock, uint64_t by_ns) { OK(reqbus_test_clock_advance(clock, by_ns)); }

static void driven(void) {
    reqbus_test_clock *clock = NULL;
    reqbus_pool *pool = NULL;
    OK(reqbus_test_clock_new(&clock));
    OK(reqbus_test_pool_new(NULL, clock, &pool, NULL));
    reqbus_ask user = ask_of("user", "42", 1);
    reqbus_slot *held = take_one(pool, &user);

    /* A ping every 15 s, the end after 30. */
    reqbus_wait *wait = begin_wait(pool, &user, 1, NULL);
    advance(clock, 15 * SECOND - 1);
    IS(REQBUS_TIMEOUT, look(wait, 0));
    advance(clock, 1);
    IS(REQBUS_PING_DUE, look(wait, 0));
    IS(REQBUS_TIMEOUT, look(wait, 0));
    advance(clock, 15 * SECOND);
    reqbus_refusal why;
    INIT(why);
    reqbus_slot *slot = NULL;
    IS(REQBUS_SLOT_TIMED_OUT, reqbus_wait_next(wait, 0, &slot, &why, NULL));
    CHECK(why.waited_ns == 30 * SECOND && why.pings == 1);
    OK(reqbus_wait_free(&wait));

    /* An offer that is not taken within 3 s goes to the next; its waiter keeps its place. */
    reqbus_wait *first = begin_wait(pool, &user, 1, NULL), *second = begin_wait(pool, &user, 1, NULL);
    OK(reqbus_slot_free(&held));
    advance(clock, 3 * SECOND);
    held = granted(second, 0);
    IS(REQBUS_TIMEOUT, look(first, 0));
    OK(reqbus_slot_free(&held));
    held = granted(first, 0);
    OK(reqbus_wait_free(&first));
    OK(reqbus_wait_free(&second));

    /* A hint when to come back: the mean of the latest holds. */
    for (int i = 0; i < 60; i++) {
        advance(clock, 2 * SECOND);
        OK(reqbus_slot_free(&held));
        held = take_one(pool, &user);
    }
    IS(REQBUS_SLOT_BUSY, reqbus_pool_try_acquire(pool, &user, 1, NULL, 0, &slot, &why, NULL));
    CHECK(why.retry_after_s >= 1 && why.retry_after_s <= 3);
    OK(reqbus_slot_free(&held));
    OK(reqbus_test_clock_free(&clock));
    OK(reqbus_pool_free(&pool));
}

/* Looks and advances until the wait is over. */
static reqbus_status drive(reqbus_test_clock *clock, reqbus_wait *wait, reqbus_slot **slot) {
    reqbus_status status;
    int looks = 0;
    while ((status = reqbus_wait_next(wait, 0, slot, NULL, NULL)) == REQBUS_TIMEOUT || status == REQBUS_PING_DUE) {
        CHECK(++looks < 100000);
        advance(clock, SECOND / 100);
    }
    return status;
}

static void faulty(uint64_t seed) {
    reqbus_test_clock *clock = NULL;
    reqbus_test_fault *fault = NULL;
    reqbus_pool *pool = NULL;
    reqbus_test_fault_options line;
    INIT(line);
    line.seed = seed;
    line.latest_ns = SECOND / 10;
    line.lost = 100;
    line.doubled = 200;
    OK(reqbus_test_clock_new(&clock));
    OK(reqbus_test_fault_new(&fault));
    OK(reqbus_test_pool_new_on_fault(NULL, clock, &line, fault, &pool, NULL));
    reqbus_ask user = ask_of("user", "42", 1);
    reqbus_load load;
    IS(REQBUS_TIMEOUT, reqbus_pool_load(pool, &user.key, 1, &load, sizeof load, 0, NULL));
    IS(REQBUS_TIMEOUT, reqbus_pool_set_limit(pool, &user.key, 1, 0, NULL));
    reqbus_slot *slot = NULL;
    for (int i = 0; i < 5; i++) {
        reqbus_wait *wait = begin_wait(pool, &user, 1, NULL);
        reqbus_status status = drive(clock, wait, &slot);
        CHECK(status == REQBUS_OK || status == REQBUS_STORE_UNAVAILABLE);
        OK(reqbus_wait_free(&wait));
        if (status == REQBUS_OK) OK(reqbus_slot_release(slot));
        OK(reqbus_slot_free(&slot));
        advance(clock, SECOND);
    }

    /* Down: it says so, and back it works. */
    OK(reqbus_test_fault_go_down(fault));
    reqbus_error *error = NULL;
    told(REQBUS_STORE_UNAVAILABLE, reqbus_pool_load(pool, &user.key, 1, &load, sizeof load, -1, &error), &error, "store");
    size_t index = 0;
    reqbus_holders *holders = NULL;
    IS(REQBUS_STORE_UNAVAILABLE, reqbus_pool_order_by_load(pool, &user.key, 1, &index, -1, NULL));
    IS(REQBUS_STORE_UNAVAILABLE, reqbus_pool_holders(pool, &user.key, -1, &holders, NULL));
    IS(REQBUS_STORE_UNAVAILABLE, reqbus_pool_set_limit(pool, &user.key, 1, -1, NULL));
    IS(REQBUS_STORE_UNAVAILABLE, reqbus_pool_close_key(pool, &user.key, -1, NULL));
    IS(REQBUS_STORE_UNAVAILABLE, reqbus_pool_open_key(pool, &user.key, -1, NULL));
    IS(REQBUS_STORE_UNAVAILABLE, reqbus_pool_force(pool, &user.key, 1, -1, NULL, NULL));
    reqbus_wait *wait = begin_wait(pool, &user, 1, NULL);
    IS(REQBUS_STORE_UNAVAILABLE, drive(clock, wait, &slot));
    OK(reqbus_wait_free(&wait));
    OK(reqbus_test_fault_come_back(fault));
    advance(clock, 60 * SECOND);
    wait = begin_wait(pool, &user, 1, NULL);
    reqbus_status status = drive(clock, wait, &slot);
    CHECK(status == REQBUS_OK || status == REQBUS_STORE_UNAVAILABLE);
    OK(reqbus_wait_free(&wait));
    OK(reqbus_slot_free(&slot));
    advance(clock, 60 * SECOND);
    OK(reqbus_test_fault_free(&fault));
    OK(reqbus_pool_free(&pool));
    OK(reqbus_test_clock_free(&clock));
}

int main(void) {
    driven();
    for (uint64_t seed = 1; seed <= 10; seed++) faulty(seed);
    threads_end();
    puts("slots_testclock: ok");
    return 0;
}
