'use strict';
// What scripts cannot say of slots: promises, signals, pings, disposal. Tests of the systems that reqbus replaces keep
// their names.

const assert = require('node:assert/strict');
const { getEventListeners } = require('node:events');
const { test } = require('node:test');
const { setImmediate: turn } = require('node:timers/promises');

const { Slot, SlotError, SlotPool, TestClock } = require('./support/testing.js');
const { waiters } = require('../lib/loop.js');

async function inUse(pool, scope = 'user', id = 1) {
  return (await pool.load([[scope, id]]))[0].inUse;
}

test('s3: a release on this thread hands over before it returns', async () => {
  const pool = new SlotPool();
  const held = await pool.acquire('user', 1, { limit: 1 });
  let next = null;
  const waits = pool.acquire('user', 1, { limit: 1 }).then((slot) => (next = slot));
  await turn();
  assert.equal(held.release(), 'released');
  // Microtasks only.
  for (let at = 0; at < 10 && next === null; at += 1) await null;
  assert.ok(next instanceof Slot);
  await waits;
  assert.equal(next.release(), 'released');
});

test('TestConcurrencyHelper_TryAcquireUserSlot', async () => {
  const pool = new SlotPool();
  const slot = await pool.tryAcquire('user', 1, { limit: 1 });
  assert.deepEqual([slot.release(), slot.release()], ['released', 'already']);
  assert.equal(await inUse(pool), 0);
});

test('TestWaitForSlotWithPingTimeout_AccountAndUserAcquire: no, then yes; no ping was written', async () => {
  const pool = new SlotPool();
  for (const scope of ['account', 'user']) {
    const held = await pool.acquire(scope, 1, { limit: 1 });
    let pings = 0;
    const waits = pool.acquire(scope, 1, { limit: 1, onPing: () => (pings += 1) });
    await turn();
    held.release();
    const slot = await waits;
    assert.deepEqual([pings, slot.release(), await inUse(pool, scope)], [0, 'released', 0]);
  }
});

test('TestWaitForSlotWithPingTimeout_AcquireError: a store that is down is an outcome of its own, and says no address', async () => {
  const clock = new TestClock();
  const pool = clock.pool({}, { isDown: true, seed: 7 });
  const codes = new Set();
  for (let at = 0; at < 20; at += 1) {
    const refused = pool.acquire('user', at, { limit: 1, timeout: 50 }).catch((error) => error);
    clock.advance(50);
    const error = await refused;
    assert.ok(error instanceof SlotError);
    assert.doesNotMatch(`${error.message} ${error.cause?.message}`, /\d+\.\d+\.\d+|:\d\d|redis/i);
    codes.add(error.code);
  }
  assert.ok(codes.has('store_unavailable'), [...codes].join());
});

test('wrapRelease_NoGoroutineLeak: nothing is left on a signal', async () => {
  const pool = new SlotPool();
  const { signal } = new AbortController();
  for (let round = 0; round < 50; round += 1) {
    const slot = await pool.acquire('user', 1, { limit: 1, signal });
    const waits = pool.acquire('user', 1, { limit: 1, signal });
    slot.releaseOnAbort(signal).release();
    (await waits).releaseOnAbort(signal).detach().release();
  }
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});

test('wrapRelease_ConcurrentCalls, ConcurrentCancelAndManualReleaseRunsExactlyOnce: 16 callers and a cancel, one release', async () => {
  const pool = new SlotPool();
  for (let round = 0; round < 200; round += 1) {
    const gone = new AbortController();
    const slot = (await pool.acquire('user', 1, { limit: 1 })).releaseOnAbort(gone.signal);
    const callers = Array.from({ length: 16 }, async (_, at) => {
      if (at % 2 === 0) await null;
      if (at === round % 16) gone.abort();
      return slot.release();
    });
    const released = (await Promise.all(callers)).filter((answer) => answer === 'released').length;
    assert.ok(released <= 1, `${released}`);
    assert.equal(pool.keyStats('user', 1).granted, BigInt(round + 1));
    assert.equal(await inUse(pool), 0);
  }
});

test('TestConcurrencyHelper_TryAcquireAccountSlot_NotAcquired', async () => {
  const pool = new SlotPool();
  const slot = await pool.tryAcquire('account', 1, { limit: 1 });
  await assert.rejects(pool.tryAcquire('account', 1, { limit: 1 }), { name: 'SlotError', code: 'busy', scope: 'account' });
  assert.equal(await inUse(pool, 'account'), 1);
  slot.release();
});

test('TestAcquireUserSlotWithWait_ImmediateAcquireSkipsWaitQueue', async () => {
  const pool = new SlotPool();
  (await pool.acquire('user', 1, { limit: 1 })).release();
  const { granted, grantedAfterWait } = pool.keyStats('user', 1);
  assert.deepEqual([granted, grantedAfterWait], [1n, 0n]);
});

test('TestAcquireUserSlotWithWait_WaitSuccessDecrementsBeforeReturn', async () => {
  const pool = new SlotPool();
  const held = await pool.acquire('user', 1, { limit: 1 });
  const waits = pool.acquire('user', 1, { limit: 1 });
  assert.equal((await pool.load([['user', 1]]))[0].waiting, 1);
  held.release();
  const slot = await waits;
  assert.equal((await pool.load([['user', 1]]))[0].waiting, 0);
  slot.release();
});

test('TestAcquireUserSlotWithWait_TimeoutDecrementsWaitQueue', async () => {
  const clock = new TestClock();
  const pool = clock.pool();
  const held = await pool.acquire('user', 1, { limit: 1 });
  const waits = pool.acquire('user', 1, { limit: 1, timeout: 130 });
  await turn();
  clock.advance(130);
  await assert.rejects(waits, (error) => {
    assert.ok(error instanceof SlotError);
    assert.deepEqual([error.code, error.waited, error.limit], ['timed_out', 130, 1]);
    return true;
  });
  assert.equal((await pool.load([['user', 1]]))[0].waiting, 0);
  held.release();
});

test('TestAcquireUserSlotWithWait_RequestCancelDecrementsWaitQueue', async () => {
  const pool = new SlotPool();
  const held = await pool.acquire('user', 1, { limit: 1 });
  const gone = new AbortController();
  const waits = pool.acquire('user', 1, { limit: 1, signal: gone.signal });
  await turn();
  const why = new Error('client went away');
  gone.abort(why);
  await assert.rejects(waits, (error) => error.code === 'cancelled' && error.cause === why);
  const [{ waiting, inUse: used }] = await pool.load([['user', 1]]);
  assert.deepEqual([waiting, used], [0, 1]);
  held.release();
});

test('TestWaitForSlotWithPingTimeout_TimeoutAndStreamPing', async () => {
  const clock = new TestClock();
  const pool = clock.pool();
  const held = await pool.acquire('user', 1, { limit: 1 });
  let written = 0;
  const onPing = () => (written += 1);
  const waits = pool.acquire('user', 1, { limit: 1, timeout: 70, pingEvery: 10, onPing });
  const ended = assert.rejects(waits, (error) => error.code === 'timed_out' && error.pings === written);
  for (let ms = 0; ms < 70; ms += 10) {
    clock.advance(10);
    await turn();
  }
  await ended;
  assert.ok(written >= 5, `${written} pings`);
  held.release();
});

test('TestWaitForSlotWithPingTimeout_ParentContextCanceled: no try on entry', async () => {
  const pool = new SlotPool();
  const signal = AbortSignal.abort(new Error('gone'));
  await assert.rejects(pool.acquire('user', 1, { limit: 1, signal }), (error) => {
    return error.code === 'cancelled' && error.cause === signal.reason;
  });
  assert.equal(pool.knownKeys, 0);
});

test('TestAcquireAccountSlotWithWaitTimeout_ImmediateAttemptBeforeBackoff', async () => {
  const pool = new SlotPool();
  const slot = await pool.acquire('account', 1, { limit: 1, timeout: 0 });
  slot.release();
});

test('s5: a grant is returned after a ping was written, and a failed write cancels with its error', async () => {
  const clock = new TestClock();
  const pool = clock.pool();
  const held = await pool.acquire('user', 1, { limit: 1 });
  let written;
  const onPing = () => new Promise((resolve) => (written = resolve));
  let granted = false;
  const waits = pool.acquire('user', 1, { limit: 1, pingEvery: 10, onPing });
  const noted = waits.then(() => (granted = true));
  await turn();
  clock.advance(10);
  await turn();
  held.release();
  await turn();
  assert.equal(granted, false);
  written();
  await noted;
  const slot = await waits;

  const broken = new Error('EPIPE');
  const fails = pool.acquire('user', 1, { limit: 1, pingEvery: 10, onPing: () => Promise.reject(broken) });
  const ended = assert.rejects(fails, (error) => error.code === 'cancelled' && error.cause === broken);
  await turn();
  clock.advance(10);
  await ended;
  slot.release();
});

test('s5: a wait that is given up while its ping is being written ends when that is over', async () => {
  const clock = new TestClock();
  const pool = clock.pool();
  const held = await pool.acquire('user', 1, { limit: 1 });
  const gone = new AbortController();
  let written;
  const onPing = () => new Promise((resolve) => (written = resolve));
  let isOver = false;
  const waits = pool.acquire('user', 1, { limit: 1, pingEvery: 10, onPing, signal: gone.signal });
  const ended = assert.rejects(waits, (error) => error.code === 'cancelled' && error.cause === gone.signal.reason);
  waits.catch(() => (isOver = true));
  clock.advance(10);
  await turn();
  gone.abort(new Error('left'));
  await turn();
  assert.equal(isOver, false);
  assert.equal((await pool.load([['user', 1]]))[0].waiting, 0);
  written();
  await ended;
  held.release();
});

test('an abort after the promise resolved does nothing', async () => {
  const pool = new SlotPool();
  const gone = new AbortController();
  const slot = await pool.acquire('user', 1, { limit: 1, signal: gone.signal });
  gone.abort();
  assert.equal(await inUse(pool), 1);
  assert.equal(slot.release(), 'released');
});

test('wrapRelease_ContextCancellation, MultipleCallsOnlyReleaseOnce: an abort alone releases, once', async () => {
  const pool = new SlotPool();
  for (let round = 0; round < 1000; round += 1) {
    const gone = new AbortController();
    const slot = (await pool.acquire('user', 1, { limit: 1 })).releaseOnAbort(gone.signal);
    if (round % 2 === 0) slot.release();
    gone.abort();
    assert.equal(slot.release(), 'already');
    assert.equal(await inUse(pool), 0);
  }
});

test('wrapRelease_AlreadyCanceledContextReleasesOnce', async () => {
  const pool = new SlotPool();
  for (let round = 0; round < 1000; round += 1) {
    const slot = (await pool.acquire('user', 1, { limit: 1 })).releaseOnAbort(AbortSignal.abort());
    assert.equal(slot.release(), 'already');
  }
  assert.equal(await inUse(pool), 0);
});

test('detach unties a slot from its signal', async () => {
  const pool = new SlotPool();
  const gone = new AbortController();
  const slot = (await pool.acquire('user', 1, { limit: 1 })).releaseOnAbort(gone.signal);
  slot.detach();
  gone.abort();
  assert.equal(slot.release(), 'released');
});

test('s10: a loss is told once, and a release ends the wait for it', async () => {
  const pool = new SlotPool();
  const slot = await pool.acquire('user', 1, { limit: 1 });
  const lost = slot.untilLost();
  const [{ holder }] = await pool.holders('user', 1);
  assert.equal(await pool.force('user', 1, holder), true);
  assert.equal(await lost, 'forced');
  assert.deepEqual([slot.lost, slot.release()], ['forced', 'lost']);
  const other = await pool.acquire('user', 1, { limit: 1 });
  const never = other.untilLost();
  other.release();
  assert.equal(await never, null);
});

test('s10: a wait for a loss ends with its signal, and another goes on', async () => {
  const pool = new SlotPool();
  const slot = await pool.acquire('user', 1, { limit: 1 });
  const gone = new AbortController();
  const [one, other] = [slot.untilLost({ signal: gone.signal }), slot.untilLost()];
  gone.abort(new Error('enough'));
  await assert.rejects(one, /enough/);
  await assert.rejects(slot.untilLost({ signal: gone.signal }), /enough/);
  slot.release();
  assert.equal(await other, null);
});

test('s2: nothing is left of a slot that was released, early or late', async () => {
  const pool = new SlotPool();
  for (const wait of [() => null, turn]) {
    const [slot, other] = [await pool.acquire('user', 1, { limit: 2 }), await pool.acquire('user', 1, { limit: 2 })];
    await wait();
    slot.release();
    assert.deepEqual([slot.keys, slot.lost, slot.releaseScope('user'), slot.release()], [[], null, 'none', 'already']);
    // What is joined to one that was released is released too.
    slot.join(other);
    assert.deepEqual([await inUse(pool), other.release()], [0, 'already']);
    const third = await pool.acquire('user', 1, { limit: 2 });
    third.join(slot);
    assert.deepEqual([await inUse(pool), third.release(), await inUse(pool)], [1, 'released', 0]);
  }
  const late = await pool.acquire('user', 1, { limit: 2 });
  late.release();
  assert.equal(await late.untilLost(), null);
});

test('s2: as many as come in one turn are all given back, each by its own number', async () => {
  const pool = new SlotPool();
  const slots = [];
  for (let at = 0; at < 3000; at += 1) slots.push(await pool.acquire('user', at % 7, { limit: 1000 }));
  for (let at = 0; at < 3000; at += 2) assert.equal(slots[at].release(), 'released');
  assert.equal((await pool.load([0, 1, 2, 3, 4, 5, 6].map((id) => ['user', id]))).reduce((sum, load) => sum + load.inUse, 0), 1500);
  await turn();
  for (const [at, slot] of slots.entries()) {
    assert.deepEqual(at % 2 === 0 ? [] : [{ scope: 'user', id: `${at % 7}` }], slot.keys);
    assert.equal(slot.release(), at % 2 === 0 ? 'already' : 'released');
  }
  for (let id = 0; id < 7; id += 1) assert.equal(await inUse(pool, 'user', id), 0);
});

test('s8: whatever a store far away is asked is awaited, or given up by a signal', async () => {
  const clock = new TestClock();
  const pool = clock.pool({}, { latestMs: 20, seed: 3 });
  const slow = async (asked) => {
    let isThere = false;
    const noted = asked.finally(() => (isThere = true));
    await turn();
    assert.equal(isThere, false);
    clock.advance(50);
    return noted;
  };
  const slot = await slow(pool.acquire('user', 1, { limit: 5, label: 'one' }));
  await slow(pool.setLimit('user', 1, 2));
  const [load] = await slow(pool.load([['user', 1]]));
  assert.deepEqual([load.inUse, load.limit], [1, 2]);
  assert.deepEqual(await slow(pool.orderByLoad([['user', 1], ['user', 2]])), [1, 0]);
  const [{ holder, label }] = await slow(pool.holders('user', 1));
  assert.equal(label, 'one');
  assert.equal((await slow(pool.heldLongerThan(0))).length, 1);
  const gone = new AbortController();
  const left = assert.rejects(pool.load([['user', 1]], { signal: gone.signal }), /left/);
  gone.abort(new Error('left'));
  await left;
  await assert.rejects(pool.closeKey('user', 1, { signal: gone.signal }), /left/);
  assert.equal(await slow(pool.force('user', 1, holder)), true);
  assert.equal(slot.release(), 'lost');
});

test('s2: disposal gives everything back', async () => {
  const pool = new SlotPool();
  const slot = await pool.acquire('user', 1, { limit: 1 });
  await slot[Symbol.asyncDispose]();
  slot[Symbol.dispose]();
  assert.equal(await inUse(pool), 0);
});

test('s4: closing a pool refuses who waits and newcomers; slots stay valid', async () => {
  const pool = new SlotPool();
  const slot = await pool.acquire('user', 1, { limit: 1 });
  const refused = assert.rejects(pool.acquire('user', 1, { limit: 1 }), { code: 'closed' });
  await turn();
  pool.close();
  pool.close();
  await refused;
  await assert.rejects(pool.tryAcquire('user', 1, { limit: 1 }), { code: 'closed' });
  assert.equal(slot.release(), 'released');
});

test('s6: further keys on top of a slot, and all go together', async () => {
  const pool = new SlotPool();
  const user = await pool.acquire('user', 1, { limit: 1 });
  const account = await pool.acquire([['account', 7, 1]], { onTopOf: user });
  user.join(account);
  assert.deepEqual(user.keys.map((key) => key.scope), ['user', 'account']);
  assert.equal(user.release(), 'released');
  assert.equal(await inUse(pool, 'account', 7), 0);
});

test('nobody is left in the list of who waits', () => {
  assert.equal(waiters(), 0);
});
