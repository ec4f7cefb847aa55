/*
 * reqbus.h: an event bus, request slots and periodic checks inside an API or LLM gateway's own process.
 *
 * Each finished request becomes an event; dashboards, loggers and metrics subscribe, live or resuming
 * after a disconnect. A slow reader never slows a request down, and always learns exactly what it
 * missed.
 *
 *     reqbus_bus *bus;
 *     reqbus_bus_new(NULL, &bus, NULL);
 *     reqbus_bus_publish_request(bus, &event);
 *
 *     reqbus_subscription *sub;
 *     reqbus_bus_subscribe(bus, NULL, &sub, NULL);
 *     while (reqbus_subscription_recv(sub, batch, 256, 1 << 20, -1) == REQBUS_OK)
 *         for (size_t i = 0; i < reqbus_batch_len(batch); i++) {
 *             reqbus_item item = { sizeof item };
 *             reqbus_batch_item(batch, i, &item);
 *         }
 *
 * Slots: at most so many requests in flight per user, account or key. Who finds no room waits its turn in
 * a bounded queue, with pings to its client, and gets the slot the moment one is given back.
 *
 *     reqbus_pool *pool;
 *     reqbus_pool_new(NULL, &pool, NULL);
 *     reqbus_ask ask = { { "user", 4, "42", 2 }, 5 };
 *     reqbus_wait *wait;
 *     reqbus_slot *slot;
 *     reqbus_status status;
 *     reqbus_pool_wait(pool, &ask, 1, NULL, &wait, NULL);
 *     while ((status = reqbus_wait_next(wait, -1, &slot, NULL, NULL)) == REQBUS_PING_DUE)
 *         write_ping();
 *     reqbus_wait_free(&wait);
 *     if (status == REQBUS_OK) {
 *         serve();
 *         reqbus_slot_free(&slot);
 *     }
 *
 * Checks: every 5 s the host says what is due, and at most 5 are checked at once, none twice at a time, the
 * longest overdue first. A runner does that on threads of its own; an admission only says which check may
 * begin, for hosts that run them themselves.
 *
 *     reqbus_runner *runner;
 *     reqbus_due_callback due = { store, list_what_is_due, NULL };
 *     reqbus_check_callback check = { store, check_one, NULL };
 *     reqbus_runner_new(NULL, &due, &check, &runner, NULL);
 *     reqbus_runner_start(runner, NULL);
 *
 * LINKING
 * -lreqbus for the shared library; for the static one what `pkg-config --static --libs reqbus` says.
 * The shared library exports reqbus_* and nothing else; its soname carries REQBUS_ABI_VERSION. dlclose
 * is harmless and unloads nothing. The library has no constructor and no allocator of its own,
 * starts no thread before a feature needs one, reads no environment variable, installs no signal handler
 * and prints nothing. Its one global effect is a pthread_atfork child handler, registered with the
 * first object, which adds one to a counter.
 *
 * MEMORY AND OWNERSHIP
 * A function that takes `T **` and makes a T gives it to the caller, who frees it with reqbus_T_free. Free
 * takes `T **` too, writes NULL there, and is fine for NULL and for a pointer to NULL: freeing twice
 * through the same pointer is harmless. Objects may be freed in any order. What a caller passes in is
 * borrowed for the call and copied. What a function returns into a struct is borrowed from the object it
 * was asked of, until that object is freed or changed; each function says so. Text is UTF-8, given as
 * pointer and length, and not NUL-terminated; NULL with length 0 is the empty text.
 *
 * THREADS
 * One rule: any object may be used from any thread at any time, also by several at once; but no call may
 * use an object while or after it is freed, and a batch serves one thread at a time. Where several wait
 * on one subscription (or wait, or slot), one waits and the others get REQBUS_BUSY.
 *
 * BLOCKING
 * Only functions with a timeout wait, and reqbus_bus_subscribe while its audience is being cleaned up.
 * Timeouts are milliseconds; -1 waits for ever and 0 tries. Every wait begins with a try. Publishing
 * waits for nothing but one short lock, never for a reader. What may reach the store of a pool takes a
 * timeout; from memory, the only store so far, it is answered at once.
 *
 * CALLBACKS
 * The leak sink of a pool (reqbus_leak_sink) and the two of a runner (reqbus_due_callback,
 * reqbus_check_callback): nothing else of the caller's runs inside reqbus. Each is a context, a function and a
 * drop: which thread calls it is said there, no lock is held meanwhile, and it may call reqbus. The drop is
 * called once, when nobody will call the function any more. None may throw or longjmp.
 *
 * FORK
 * An object made before fork() answers REQBUS_FORKED in the child, without touching the parent's locks,
 * threads or descriptors. Freeing it there answers REQBUS_OK and leaks the child's copy. Make new
 * objects in the child.
 *
 * ERRORS
 * Functions that can fail return a reqbus_status: 0 and 1 are success, 2 to 99 say how a call ended that
 * did nothing wrong, from 100 on it failed, by ranges (see reqbus_status). Some also take a
 * `reqbus_error **` for a sentence and what it is about; it may be NULL. It is written by every such
 * call: NULL on success, else a new error, to be freed. There is no "last error" of a thread. A NULL
 * handle is REQBUS_NULL_ARGUMENT, except that publishing on a NULL bus is REQBUS_OK_IGNORED, and a function
 * that returns a count answers 0. A bug in reqbus is caught at the boundary and answers REQBUS_PANICKED.
 *
 * GROWTH OF STRUCTS
 * Structs that may grow begin with `size`: write sizeof of the struct there and zero the rest before you
 * set fields. Zero is the default of every field. A shorter struct of an older caller is fine: what it
 * lacks is zero. In a longer struct of a newer caller, what this version does not know must be zero,
 * else the answer is REQBUS_UNKNOWN_OPTION; unknown flag bits are refused likewise. A struct that reqbus
 * fills is filled as far as both sides know it, and zeroed beyond. Flags, sorts and tags in structs are
 * uint32_t, whatever width a compiler gives to enums.
 *
 * WHAT IS LOST, AND HOW ONE LEARNS IT
 * A reader that is slow loses events by the overflow policy it chose. The loss is an item in its stream,
 * REQBUS_ITEM_LOST, at the place of the hole: how many, why, and the number of the next event. It is
 * never an error and never the end. Each matching event has a number `n` of the subscription's own, from
 * 1, so a hole in `n` is loss, while events that the filter leaves out use no number. At any quiet
 * moment, for each subscription: matched == delivered + lost + pending + abandoned. A reader that
 * cannot resume where it left off gets REQBUS_ITEM_RESYNC first, and goes on live.
 */
