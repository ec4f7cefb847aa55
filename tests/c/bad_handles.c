/* NULL in every place where a handle belongs, and free in every form. */
#include "check.h"

static void null_handles(void) {
    reqbus_new_event event;
    INIT(event);
    event.kind = "k";
    event.kind_len = 1;
    reqbus_subscription *sub = NULL;
    reqbus_request_event request;
    INIT(request);
    reqbus_error *error = NULL;
    reqbus_id id;
    size_t n = 7;
    uint64_t u = 0;
    int32_t flag = 0;
    int fd = 0;

    IS(REQBUS_NULL_ARGUMENT, reqbus_bus_new(NULL, NULL, NULL));
    told(REQBUS_NULL_ARGUMENT, reqbus_bus_new(NULL, NULL, &error), &error, "out");
    /* Publish on NULL has no effect and is fine, whatever the event is. */
    IS(REQBUS_OK_IGNORED, reqbus_bus_publish(NULL, &event, &id, NULL));
    IS(REQBUS_OK_IGNORED, reqbus_bus_publish(NULL, NULL, NULL, NULL));
    IS(REQBUS_OK_IGNORED, reqbus_bus_publish_many(NULL, &event, 1, sizeof event, &id, NULL));
    IS(REQBUS_OK_IGNORED, reqbus_bus_publish_request(NULL, &request));
    IS(REQBUS_OK_IGNORED, reqbus_bus_publish_request_id(NULL, &request, &id, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_bus_close(NULL));
    told(REQBUS_NULL_ARGUMENT, reqbus_bus_subscribe(NULL, NULL, &sub, &error), &error, "bus");
    CHECK(sub == NULL);
    IS(REQBUS_NULL_ARGUMENT, reqbus_bus_epoch(NULL, &u));
    IS(REQBUS_NULL_ARGUMENT, reqbus_bus_newest(NULL, &id));
    IS(REQBUS_NULL_ARGUMENT, reqbus_bus_audience_count(NULL, "a", 1, &n));
    IS(REQBUS_NULL_ARGUMENT, reqbus_bus_set_status(NULL, "a", 1, "b", 1, NULL, 0, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_bus_get_stats(NULL, NULL));
    reqbus_consumers *consumers = NULL;
    IS(REQBUS_NULL_ARGUMENT, reqbus_bus_consumers(NULL, &consumers, NULL));
    CHECK(reqbus_consumers_len(NULL) == 0 && reqbus_batch_len(NULL) == 0);

    IS(REQBUS_NULL_ARGUMENT, reqbus_subscription_recv(NULL, NULL, 1, 1, -1));
    IS(REQBUS_NULL_ARGUMENT, reqbus_subscription_recv_texts(NULL, NULL, 0, 1, 1, -1));
    IS(REQBUS_NULL_ARGUMENT, reqbus_subscription_interrupt(NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_subscription_close(NULL, &flag));
    IS(REQBUS_NULL_ARGUMENT, reqbus_subscription_attach(NULL, NULL, 1));
    IS(REQBUS_NULL_ARGUMENT, reqbus_subscription_detach(NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_subscription_is_first(NULL, &flag));
    IS(REQBUS_NULL_ARGUMENT, reqbus_subscription_settled(NULL, &id));
    IS(REQBUS_NULL_ARGUMENT, reqbus_subscription_id(NULL, &u));
    IS(REQBUS_NULL_ARGUMENT, reqbus_subscription_heartbeat(NULL, 0, NULL, 0, &n));
    reqbus_guard *guard = NULL;
    IS(REQBUS_NULL_ARGUMENT, reqbus_subscription_cleanup_guard(NULL, &guard));
    IS(REQBUS_NULL_ARGUMENT, reqbus_guard_is_expired(NULL, &flag));
    IS(REQBUS_NULL_ARGUMENT, reqbus_guard_release(NULL, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_guard_abort(&guard, NULL));

    IS(REQBUS_NULL_ARGUMENT, reqbus_batch_clear(NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_batch_item(NULL, 0, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_batch_settled(NULL, &id));
    IS(REQBUS_NULL_ARGUMENT, reqbus_batch_texts(NULL, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_bell_fd(NULL, &fd, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_bell_take(NULL, &u, 1, &n));
    IS(REQBUS_NULL_ARGUMENT, reqbus_bell_wait(NULL, &u, 1, 0, &n));
    IS(REQBUS_NULL_ARGUMENT, reqbus_bell_enter(NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_bell_leave(NULL, &u, 1, &n));
    IS(REQBUS_NULL_ARGUMENT, reqbus_bell_close(NULL));
    reqbus_join *join = NULL;
    IS(REQBUS_NULL_ARGUMENT, reqbus_bus_join(NULL, NULL, NULL, 0, &join, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_join_finish(NULL, &sub, NULL));

    /* An error that is none. */
    OK(reqbus_error_kind(NULL));
    CHECK(reqbus_error_message(NULL, &n) != NULL && n == 0);
}

static void frees(void) {
    /* NULL, a pointer to NULL, and twice. */
    reqbus_bus *b = new_bus();
    OK(reqbus_bus_free(&b));
    CHECK(b == NULL);
    OK(reqbus_bus_free(&b));
    OK(reqbus_bus_free(NULL));
    reqbus_batch *ba = new_batch();
    OK(reqbus_batch_free(&ba));
    OK(reqbus_batch_free(&ba));
    OK(reqbus_batch_free(NULL));
    reqbus_bell *bell = NULL;
    OK(reqbus_bell_new(&bell, NULL));
    OK(reqbus_bell_free(&bell));
    OK(reqbus_bell_free(&bell));
    OK(reqbus_bell_free(NULL));
    OK(reqbus_subscription_free(NULL));
    OK(reqbus_error_free(NULL));
    OK(reqbus_consumers_free(NULL));
    OK(reqbus_guard_free(NULL));
    OK(reqbus_join_free(NULL));
}

int main(void) {
    null_handles();
    frees();
    puts("bad_handles: ok");
    return 0;
}
