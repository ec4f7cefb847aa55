'use strict';
// What the collector finds. Needs --expose-gc.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { setImmediate: turn } = require('node:timers/promises');

const { Bus, SlotPool } = require('./support/testing.js');
const { waiters } = require('../lib/loop.js');

/** How many times longer than usual. */
const STRESS = Number(process.env.REQBUS_STRESS ?? 1);

/** Collects until `isDone`, or gives up. */
async function collect(isDone) {
  for (let round = 0; round < 50 && !isDone(); round += 1) {
    gc();
    await turn();
  }
}

test('s11: a slot that was collected is released, counted and told', async () => {
  const pool = new SlotPool();
  for (const isWatched of [false, true]) {
    const before = pool.leaked;
    await (async () => {
      const slot = await pool.acquire('user', 1, { limit: 1, label: 'forgotten' });
      // Who only waits for a loss does not hold the slot.
      if (isWatched) slot.untilLost();
    })();
    await collect(() => pool.leaked > before);
    assert.equal(pool.leaked, before + 1n);
    const [{ scope, id, label }] = pool.takeLeaks();
    assert.deepEqual([scope, id, label], ['user', '1', 'forgotten']);
    (await pool.tryAcquire('user', 1, { limit: 1 })).release();
  }
});

test('s11: a slot that was released is no leak', async () => {
  const pool = new SlotPool();
  for (let round = 0; round < 100; round += 1) (await pool.acquire('user', 1, { limit: 1 })).release();
  gc();
  await turn();
  gc();
  await turn();
  assert.equal(pool.leaked, 0n);
});

test('a subscription that was collected is off its bus; one that is waited on is not', async () => {
  const bus = new Bus();
  bus.subscribe();
  let got = 0;
  (async () => {
    for await (const item of bus.subscribe()) got += item.type === 'event' ? 1 : 0;
  })();
  await collect(() => bus.stats().subscriptions === 1n);
  assert.equal(bus.stats().subscriptions, 1n);
  bus.publish({ kind: 'k' });
  await turn();
  assert.equal(got, 1);
  bus.close();
});

test('a wait that was collected is cancelled', async () => {
  const pool = new SlotPool();
  const held = await pool.acquire('user', 1, { limit: 1 });
  (() => pool.wait('user', 1, { limit: 1 }))();
  const cancelled = () => pool.keyStats('user', 1).cancelled;
  await collect(() => cancelled() > 0n);
  assert.equal(cancelled(), 1n);
  held.release();
});

test('10,000 rounds of everything leave nothing behind', async () => {
  const bus = new Bus();
  const pool = new SlotPool();
  const round = async (at) => {
    // What was collected is freed in a turn of the loop.
    if (at % 50 === 0) await turn();
    const sub = bus.subscribe({ overflow: 'catch_up' });
    const read = sub.nextBatch();
    bus.publishRequest('GET', '/x', 'm', 1, 'success', 1);
    await read;
    sub.free();
    const gone = new AbortController();
    const held = await pool.acquire('user', 1, { limit: 1 });
    const waits = pool.acquire('user', 1, { limit: 1 });
    const gives = pool.acquire('user', 1, { limit: 1, signal: gone.signal }).catch(() => null);
    gone.abort();
    held.release();
    (await waits).release();
    await gives;
  };
  const settle = async () => {
    for (let at = 0; at < 5; at += 1) {
      gc();
      await turn();
    }
    return process.memoryUsage();
  };
  for (let at = 0; at < 2000; at += 1) await round(at);
  const before = await settle();
  for (let at = 0; at < 10000 * STRESS; at += 1) await round(at);
  const after = await settle();
  assert.ok(after.heapUsed - before.heapUsed < 2 << 20, `heap grew by ${after.heapUsed - before.heapUsed}`);
  assert.ok(after.rss - before.rss < 32 << 20, `process grew by ${after.rss - before.rss}`);
  assert.equal(bus.stats().subscriptions, 0n);
  assert.equal(waiters(), 0);
  const [{ inUse, waiting }] = await pool.load([['user', 1]]);
  assert.deepEqual([inUse, waiting], [0, 0]);
});
