'use strict';
// What pools and runners tell on a bus.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { setImmediate: turn } = require('node:timers/promises');

const { Bus, SlotPool, Teller, TestClock } = require('./support/testing.js');

/** Kind, key and payload of what is there. */
function told(sub) {
  return sub.tryBatch().map((item) => [item.kind, item.key, item.data]);
}

test('a pool tells of waits, grants, refusals and losses; secrets stay secret', async () => {
  const bus = new Bus();
  const sub = bus.subscribe();
  const teller = new Teller(bus);
  const clock = new TestClock();
  const pool = clock.pool({ teller, heldLong: 60000 });
  const slot = await pool.acquire('api_key', 'sk-1', { limit: 1, label: 'one' });
  const key = { scope: 'api_key', id: null };
  assert.deepEqual(told(sub), [['slot.granted', '', { keys: [key], label: 'one', waited_ms: 0, pings: 0 }]]);
  slot.release();

  const held = await pool.acquire('user', 1, { limit: 1 });
  const waits = pool.acquire('user', 1, { limit: 1, timeout: 50, label: 'two' });
  const ended = assert.rejects(waits, { code: 'timed_out' });
  clock.advance(50);
  await ended;
  const kinds = told(sub);
  assert.deepEqual(kinds.map(([kind]) => kind), ['slot.granted', 'slot.wait_begun', 'slot.refused']);
  const [, at, refused] = kinds[2];
  assert.deepEqual([at, refused.outcome, refused.label, refused.waited_ms, refused.limit], ['1', 'timed_out', 'two', 50, 1]);

  clock.advance(66000);
  assert.deepEqual(told(sub).map(([kind]) => kind), ['slot.held_long']);
  const [{ holder }] = await pool.holders('user', 1);
  await pool.force('user', 1, holder);
  const [[kind, , { reason, holder: said }]] = told(sub);
  assert.deepEqual([kind, reason, said], ['slot.lost', 'forced', String(holder)]);
  held.release();
  assert.equal(teller.failed, 0n);
});

test('only the kinds that were chosen are told, and scopes of the host can be secret', async () => {
  const bus = new Bus();
  const sub = bus.subscribe();
  const pool = new SlotPool({ teller: new Teller(bus, { kinds: ['slot.granted'], secretScopes: ['user'] }) });
  (await pool.acquire('user', 1, { limit: 1 })).release();
  await assert.rejects(pool.tryAcquire('user', 1, { limit: 0 }), { code: 'busy' });
  const [[kind, key, { keys }], ...more] = told(sub);
  assert.deepEqual([kind, key, keys, more], ['slot.granted', '', [{ scope: 'user', id: null }], []]);
  assert.throws(() => new Teller(bus, { kinds: ['slot.taken'] }), { code: 'invalid_argument', context: 'kinds' });
});

test('a runner tells how its checks ended, and wakes who reads of it', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const bus = new Bus();
  const sub = bus.subscribe();
  const clock = new TestClock();
  const teller = new Teller(bus, { kinds: ['check.finished'] });
  const runner = clock.runner({ due: () => ['account-7'], check: () => false, teller });
  runner.start();
  const reads = sub.nextBatch();
  t.mock.timers.tick(0);
  const [{ kind, key, data }] = await reads;
  assert.deepEqual([kind, key], ['check.finished', 'account-7']);
  assert.deepEqual(data, { id: 'account-7', verdict: 'failed', took_ms: 0, was_stuck: false });
  await runner.stop();
});

test('what a closed bus did not take is counted, and fails no call', async () => {
  const bus = new Bus();
  const teller = new Teller(bus);
  const pool = new SlotPool({ teller });
  bus.close();
  const slot = await pool.acquire('user', 1, { limit: 1 });
  assert.equal(slot.release(), 'released');
  await turn();
  assert.ok(teller.failed >= 1n, `${teller.failed}`);
  assert.equal(Teller.KINDS.length, 6);
});
