'use strict';
// What scripts cannot say of the bus: promises, signals, iterators, 64 bits.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { setImmediate: turn } = require('node:timers/promises');

const { Bus, ReqbusError, TestClock } = require('./support/testing.js');

const texts = (items) => items.map((item) => item.payload);

/** Fills the log with `count` texts, "1" and up. */
function publish(bus, count) {
  for (let at = 1; at <= count; at += 1) bus.publish({ kind: 'k', text: `${at}` });
}

test('b1: a publish on this thread wakes its readers before the loop turns, and a burst is one batch', async () => {
  const bus = new Bus();
  const sub = bus.subscribe();
  let got = null;
  const reading = sub.nextBatch().then((items) => (got = items));
  await turn();
  publish(bus, 32);
  // Microtasks only: no thread-safe function was needed.
  for (let at = 0; at < 10 && got === null; at += 1) await null;
  assert.equal(got?.length, 32);
  await reading;
});

test('b2: an aborted wait has taken nothing, and the next one takes it', async () => {
  const bus = new Bus();
  const sub = bus.subscribe();
  const gone = new AbortController();
  const waits = sub.nextBatch({ signal: gone.signal });
  await turn();
  bus.publish({ kind: 'k', text: 'a' });
  gone.abort(new Error('left'));
  await assert.rejects(waits.then(() => 'read'), /left/).catch(async () => {
    // The publish won: then it is what was read.
    assert.equal((await waits).length, 1);
  });
  bus.publish({ kind: 'k', text: 'b' });
  const rest = await sub.nextBatch();
  const { matched, delivered } = sub.stats();
  assert.equal(matched, delivered);
  assert.ok(texts(rest).includes('b'));
  await assert.rejects(sub.nextBatch({ signal: gone.signal }), /left/);
});

test('b2: a signal aborted on entry makes no try', async () => {
  const bus = new Bus();
  const sub = bus.subscribe();
  publish(bus, 1);
  await assert.rejects(sub.nextBatch({ signal: AbortSignal.abort() }), { name: 'AbortError' });
  assert.equal(sub.stats().delivered, 0n);
});

test('b3: an iterator that stops midway keeps the rest for the next, and is settled up to what it yielded', async () => {
  const bus = new Bus();
  const sub = bus.subscribe();
  publish(bus, 5);
  for await (const item of sub) {
    if (item.payload === '2') break;
  }
  assert.equal(sub.settled, `${bus.epoch}-2`);
  assert.deepEqual(texts(await sub.nextBatch({ maxItems: 1 })), ['3']);
  assert.equal(sub.settled, `${bus.epoch}-3`);
  bus.close();
  const rest = [];
  for await (const item of sub) rest.push(item);
  assert.deepEqual(texts(rest), ['4', '5']);
  assert.equal(sub.settled, bus.newest);
});

test('b5: close is idempotent, wakes who waits, and a publish after it is silent', async () => {
  const bus = new Bus();
  const [one, other] = [bus.subscribe(), bus.subscribe()];
  const ends = [one.nextBatch(), other.nextTexts('sse')];
  await turn();
  bus.close();
  bus.close();
  assert.deepEqual(await Promise.all(ends), [null, null]);
  assert.equal(bus.publish({ kind: 'k' }), false);
  assert.equal(bus.publishRequest('GET', '/', 'm', 1, 'success', 1), false);
  assert.equal(one.close(), null);
  one.free();
  one.free();
  assert.equal(await one.nextBatch(), null);
  assert.throws(() => bus.subscribe(), { code: 'closed', context: 'bus' });
});

test('b5: closing or freeing a subscription wakes who waits on it', async () => {
  for (const end of ['close', 'free']) {
    const sub = new Bus().subscribe();
    const waits = sub.nextBatch();
    await turn();
    sub[end]();
    assert.equal(await waits, null, end);
  }
});

test('b6: a join waits until the audience was cleaned up, and not beyond its signal', async () => {
  const bus = new Bus();
  const first = bus.subscribe({ audience: 'hub' });
  const guard = first.cleanupGuard();
  assert.throws(() => bus.subscribe({ audience: 'hub' }), { code: 'audience_busy' });
  const joins = bus.join({ audience: 'hub' });
  const gone = new AbortController();
  const gives = bus.join({ audience: 'hub', signal: gone.signal });
  await turn();
  gone.abort(new Error('left'));
  await assert.rejects(gives, /left/);
  assert.equal(bus.audienceCount('hub'), 0);
  assert.equal(guard.release(), true);
  assert.equal((await joins).isFirst, true);
  assert.equal(bus.audienceCount('hub'), 1);
});

test('b6: a join ends with audience_busy at its deadline', async () => {
  const clock = new TestClock();
  const bus = clock.bus();
  const guard = bus.subscribe({ audience: 'hub' }).cleanupGuard();
  const joins = bus.join({ audience: 'hub', audienceWait: 100 });
  await turn();
  clock.advance(100);
  await assert.rejects(joins, { code: 'audience_busy' });
  guard.release();
});

test('b7: loss is an item, exact, and never the end', async () => {
  const bus = new Bus();
  const sub = bus.subscribe({ capacity: 2 });
  publish(bus, 5);
  const [one, two, lost] = await sub.nextBatch();
  assert.deepEqual([one.n, two.n], [1n, 2n]);
  assert.deepEqual(lost, { type: 'lost', missed: 3n, reason: 'full', nextN: 6n });
});

test('one wait at a time', async () => {
  const sub = new Bus().subscribe();
  const waits = sub.nextBatch();
  await turn();
  await assert.rejects(sub.nextBatch(), { name: 'ReqbusError', code: 'busy' });
  sub.free();
  await waits;
});

test('numbers and BigInts come in, 64 bits go out exactly', async () => {
  const bus = new Bus();
  const sub = bus.subscribe();
  for (const account of [-(2n ** 63n), 2n ** 63n - 1n, 0, Number.MAX_SAFE_INTEGER, -1]) {
    bus.publishRequest('GET', '/', 'm', account, 'success', 1);
    const [{ payload }] = sub.tryBatch();
    assert.equal(payload.accountId, BigInt(account));
  }
  for (const account of [2n ** 63n, 2n ** 64n, -(2n ** 63n) - 1n, 2 ** 53, 1.5, NaN]) {
    assert.throws(() => bus.publishRequest('GET', '/', 'm', account, 'success', 1), { code: 'invalid_argument' });
  }
  const timeNs = 2n ** 63n - 1n;
  bus.publish({ kind: 'k', timeNs });
  assert.equal(sub.tryBatch()[0].timeNs, timeNs);
  assert.throws(() => bus.publish({ kind: 'k', timeNs: timeNs + 1n }), { context: 'timestamp' });
});

test('errors have a code, a context and a sentence, and say no payload', () => {
  const bus = new Bus();
  assert.throws(() => bus.publish({ kind: 'reqbus.x' }), (error) => {
    assert.ok(error instanceof ReqbusError && error instanceof Error);
    assert.deepEqual([error.name, error.code, error.context], ['ReqbusError', 'reserved_kind', 'kind']);
    return true;
  });
  assert.throws(() => bus.publish({ kind: 'k', jsonText: '{"secret":' }), (error) => {
    assert.equal(error.code, 'invalid_json');
    assert.ok(!error.message.includes('secret'));
    return true;
  });
  for (const wrong of [{}, { kind: 7 }, { kind: 'k', text: 'a', json: 1 }, { kind: 'k', json: undefined, bytes: 'x' }]) {
    assert.throws(() => bus.publish(wrong), { name: 'ReqbusError', code: 'invalid_argument' }, JSON.stringify(wrong));
  }
});

test('a linger lets a burst gather: one batch of what two turns of the loop published', async () => {
  const bus = new Bus();
  const sub = bus.subscribe({ linger: 30 });
  const waits = sub.nextBatch();
  await turn();
  publish(bus, 1);
  await turn();
  publish(bus, 1);
  assert.equal((await waits).length, 2);
});
