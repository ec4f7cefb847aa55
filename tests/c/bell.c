/* One bell for many subscriptions: poll on the descriptor, take, read; no wake is missed. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

enum { SUBS = 100, EVENTS = 20000 };

static int readable(int fd, int timeout_ms) {
    struct pollfd p;
    p.fd = fd;
    p.events = POLLIN;
    p.revents = 0;
    int n;
    do n = poll(&p, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    CHECK(n >= 0);
    return n == 1;
}

static size_t take(reqbus_bell *bell, uint64_t *tokens, size_t capacity) {
    size_t taken = 0;
    OK(reqbus_bell_take(bell, tokens, capacity, &taken));
    return taken;
}

/* Takes and reads until the bell is quiet. */
static void settle(reqbus_bell *bell, reqbus_subscription **subs, reqbus_batch *batch) {
    uint64_t tokens[16];
    size_t taken;
    while ((taken = take(bell, tokens, 16)) > 0)
        for (size_t i = 0; i < taken; i++)
            while (try_recv(subs[tokens[i]], batch) == REQBUS_OK) {
            }
}

static void rules(void) {
    reqbus_bus *bus = new_bus();
    reqbus_batch *batch = new_batch();
    reqbus_bell *bell = NULL;
    OK(reqbus_bell_new(&bell, NULL));
    int fd = -1, again = -1;
    OK(reqbus_bell_fd(bell, &fd, NULL));
    OK(reqbus_bell_fd(bell, &again, NULL));
    CHECK(fd >= 0 && fd == again); /* constant */
    CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
    CHECK(!readable(fd, 0));

    reqbus_subscription *subs[3];
    for (uint64_t i = 0; i < 3; i++) {
        subs[i] = subscribe(bus, NULL);
        OK(reqbus_subscription_attach(subs[i], bell, i));
    }
    settle(bell, subs, batch);
    CHECK(!readable(fd, 0));

    /* One event for three: readable till the last token is taken, one at a time. */
    OK(say(bus, "k", "", "x"));
    int seen[3] = {0, 0, 0};
    for (int i = 0; i < 3; i++) {
        CHECK(readable(fd, 1000));
        uint64_t token;
        CHECK(take(bell, &token, 1) == 1 && token < 3);
        seen[token]++;
    }
    CHECK(seen[0] == 1 && seen[1] == 1 && seen[2] == 1);
    CHECK(!readable(fd, 0));

    /* A read that returned something leaves its token ready: stopping there loses nothing. */
    OK(try_recv(subs[0], batch));
    CHECK(readable(fd, 1000));
    settle(bell, subs, batch);
    for (int i = 1; i < 3; i++) OK(try_recv(subs[i], batch));
    settle(bell, subs, batch);
    CHECK(!readable(fd, 0));

    /* Statuses ring too; a detached subscription does not. */
    OK(reqbus_subscription_detach(subs[1]));
    OK(reqbus_bus_set_status(bus, LIT("s"), LIT("up"), NULL, 0, NULL));
    CHECK(readable(fd, 1000));
    uint64_t tokens[8];
    size_t taken = 0;
    OK(reqbus_bell_wait(bell, tokens, 8, 1000, &taken));
    CHECK(taken == 2);
    for (size_t i = 0; i < taken; i++) CHECK(tokens[i] != 1);
    settle(bell, subs, batch);
    for (int i = 0; i < 3; i++) OK(try_recv(subs[i], batch));
    settle(bell, subs, batch);
    IS(REQBUS_TIMEOUT, reqbus_bell_wait(bell, tokens, 8, 10, &taken));

    /* A thread that serves the bell by itself wakes nobody, and takes what it rang. */
    OK(reqbus_bell_enter(bell));
    OK(say(bus, "k", "", "x"));
    CHECK(!readable(fd, 0));
    OK(reqbus_bell_leave(bell, tokens, 8, &taken));
    CHECK(taken == 2 && !readable(fd, 0)); /* one of the three is detached */
    for (int i = 0; i < 3; i++) OK(try_recv(subs[i], batch));
    settle(bell, subs, batch);
    /* A leave without room is refused, and ends it: what became ready rings. */
    OK(reqbus_bell_enter(bell));
    OK(say(bus, "k", "", "y"));
    IS(REQBUS_INVALID_ARGUMENT, reqbus_bell_leave(bell, tokens, 0, &taken));
    CHECK(readable(fd, 1000));
    for (int i = 0; i < 3; i++) OK(try_recv(subs[i], batch));
    settle(bell, subs, batch);

    /* A closed subscription is ready until its end has been read. */
    OK(reqbus_subscription_close(subs[0], NULL));
    CHECK(readable(fd, 1000) && take(bell, tokens, 8) == 1 && tokens[0] == 0);
    IS(REQBUS_CLOSED, try_recv(subs[0], batch));

    /* A closed bell is readable for ever, and a wait on it ends. */
    OK(reqbus_bell_close(bell));
    OK(reqbus_bell_close(bell));
    CHECK(readable(fd, 0));
    take(bell, tokens, 8);
    CHECK(readable(fd, 0));
    reqbus_status status = reqbus_bell_wait(bell, tokens, 8, -1, &taken);
    while (status == REQBUS_OK) status = reqbus_bell_wait(bell, tokens, 8, -1, &taken);
    IS(REQBUS_CLOSED, status);

    OK(reqbus_bell_free(&bell)); /* before its subscriptions */
    OK(say(bus, "k", "", "x"));
    for (int i = 0; i < 3; i++) OK(reqbus_subscription_free(&subs[i]));
    errno = 0;
    CHECK(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
    reqbus_batch_free(&batch);
    reqbus_bus_free(&bus);
}

static void *publisher(void *bus) {
    for (int i = 0; i < EVENTS; i++) {
        OK(say((reqbus_bus *)bus, "k", "", "x"));
        if (i % 1000 == 0) sleep_ms(1);
    }
    return NULL;
}

static void many_subscriptions(void) {
    reqbus_bus *bus = new_bus();
    reqbus_batch *batch = new_batch();
    reqbus_bell *bell = NULL;
    OK(reqbus_bell_new(&bell, NULL));
    int fd = -1;
    OK(reqbus_bell_fd(bell, &fd, NULL));
    static reqbus_subscription *subs[SUBS];
    static uint64_t known[SUBS];
    memset(known, 0, sizeof known);
    for (uint64_t i = 0; i < SUBS; i++) {
        reqbus_subscribe_options how;
        INIT(how);
        how.overflow = (uint32_t)(i % 3);
        subs[i] = subscribe(bus, &how);
        OK(reqbus_subscription_attach(subs[i], bell, i));
    }
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, publisher, bus) == 0);
    size_t left = SUBS;
    while (left > 0) {
        CHECK(readable(fd, 20000)); /* a missed wake would end here */
        uint64_t tokens[7];
        size_t taken = take(bell, tokens, 7);
        for (size_t i = 0; i < taken; i++) {
            uint64_t t = tokens[i];
            /* One read a turn: what it leaves must ring again. */
            reqbus_status status = reqbus_subscription_recv(subs[t], batch, 500, BYTES, 0);
            CHECK(status == REQBUS_OK || status == REQBUS_TIMEOUT);
            uint64_t before = known[t];
            for (size_t k = 0; k < reqbus_batch_len(batch); k++) {
                reqbus_item item = item_at(batch, k);
                known[t] += item.tag == REQBUS_ITEM_LOST ? item.missed : 1;
            }
            CHECK(known[t] <= EVENTS);
            if (before < EVENTS && known[t] == EVENTS) left--;
        }
    }
    pthread_join(thread, NULL);
    for (int i = 0; i < SUBS; i++) {
        reqbus_subscription_stats s = stats_of(subs[i]);
        CHECK(s.matched == EVENTS && s.pending == 0 && adds_up(&s));
        OK(reqbus_subscription_free(&subs[i]));
    }
    reqbus_batch_free(&batch);
    OK(reqbus_bell_free(&bell));
    reqbus_bus_free(&bus);
}

int main(void) {
    rules();
    many_subscriptions();
    threads_end();
    puts("bell: ok");
    return 0;
}
