'use strict';
// Processes and workers that end with work pending.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { join } = require('node:path');
const { test } = require('node:test');
const { Worker } = require('node:worker_threads');

const { SlotPool } = require('./support/testing.js');

const TESTING = JSON.stringify(join(__dirname, 'support/testing.js'));

/** Runs a program, which must end by itself. */
function run(body) {
  const code = `const { Bus, Runner, SlotPool } = require(${TESTING}); (async () => { ${body} })();`;
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['-e', code], { timeout: 20000, encoding: 'utf8' });
  assert.deepEqual([status, signal, stderr], [0, null, ''], stderr);
  return stdout;
}

test('a process ends with subscribers open and reads pending', () => {
  const body = `globalThis.bus = new Bus();
    bus.subscribe();
    const sub = bus.subscribe({ overflow: 'catch_up' });
    sub.nextBatch().then(() => console.log('read'));
    (async () => { for await (const item of bus.subscribe()) console.log(item.type); })();
    setTimeout(() => console.log('last'), 20);`;
  assert.equal(run(body), 'last\n');
});

test('a process ends with waits for slots pending', () => {
  const body = `globalThis.pool = new SlotPool();
    globalThis.held = await pool.acquire('user', 1, { limit: 1 });
    held.untilLost();
    pool.acquire('user', 1, { limit: 1 }).then(() => console.log('granted'));
    console.log('last');`;
  assert.equal(run(body), 'last\n');
});

test('a process ends with a runner started and a check that hangs', () => {
  const body = `const runner = new Runner({ due: () => ['a'], check: () => new Promise(() => {}) }).start();
    await new Promise((resolve) => setTimeout(resolve, 20));
    console.log(runner.inFlight().length);
    console.log((await runner.stop({ timeout: 10 })).left.map(({ id }) => id).join());`;
  assert.equal(run(body), '1\na\n');
});

test('process.exit in the middle of everything is quiet', () => {
  const body = `const bus = new Bus();
    bus.subscribe().nextBatch();
    const pool = new SlotPool();
    await pool.acquire('user', 1, { limit: 1 });
    pool.acquire('user', 1, { limit: 1, timeout: 5000, pingEvery: 1, onPing() {} });
    setTimeout(() => { bus.publish({ kind: 'k' }); process.exit(0); }, 3);`;
  run(body);
});

test('a process in which only workers load the extension outlives them, terminated or ended, and loads it again', () => {
  const body = `const { Worker } = require('node:worker_threads');
    const code = \`const { SlotPool } = require(\${JSON.stringify(${TESTING})});
      (async () => {
        const pool = new SlotPool();
        globalThis.slot = await pool.acquire('user', 1, { limit: 1 });
        pool.acquire('user', 1, { limit: 1, timeout: 20, pingEvery: 1, onPing() {} }).catch(() => {});
        setTimeout(() => require('node:worker_threads').parentPort.postMessage('ready'), 5);
      })();\`;
    for (const end of ['terminate', 'on its own', 'terminate']) {
      const worker = new Worker(code, { eval: true });
      // One that has said its last may be gone as it is heard.
      const exits = new Promise((resolve) => worker.once('exit', resolve));
      await new Promise((resolve) => worker.once('message', resolve));
      if (end === 'terminate') await worker.terminate();
      await exits;
    }
    await new Promise((resolve) => setTimeout(resolve, 40));
    console.log('last');`;
  const code = `(async () => { ${body} })();`;
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['-e', code], { timeout: 20000, encoding: 'utf8' });
  assert.deepEqual([status, signal, stderr, stdout], [0, null, '', 'last\n'], stderr);
});

test('a worker has its own, and its timers ring in it', async () => {
  const code = `const { parentPort } = require('node:worker_threads');
    const { Bus, SlotPool } = require(${TESTING});
    (async () => {
      const bus = new Bus();
      const sub = bus.subscribe();
      const read = sub.nextBatch();
      bus.publish({ kind: 'k', text: 'w' });
      const [{ payload }] = await read;
      const pool = new SlotPool();
      const slot = await pool.acquire('user', 1, { limit: 1 });
      const alive = setInterval(() => {}, 1000);
      const { code } = await pool.acquire('user', 1, { limit: 1, timeout: 20 }).catch((error) => error);
      clearInterval(alive);
      parentPort.postMessage({ payload, code });
    })();`;
  const worker = new Worker(code, { eval: true });
  const exits = once(worker, 'exit');
  const [told] = await once(worker, 'message');
  assert.deepEqual(told, { payload: 'w', code: 'timed_out' });
  const [status] = await exits;
  assert.equal(status, 0);
});

test('a worker that is terminated with everything pending leaves the process whole', async () => {
  const code = `const { parentPort } = require('node:worker_threads');
    const { Bus, SlotPool } = require(${TESTING});
    (async () => {
      const bus = new Bus();
      bus.subscribe().nextBatch();
      const pool = new SlotPool();
      globalThis.slot = await pool.acquire('user', 1, { limit: 1 });
      slot.untilLost();
      pool.acquire('user', 1, { limit: 1, timeout: 30, pingEvery: 1, onPing() {} }).catch(() => {});
      setInterval(() => bus.publish({ kind: 'k' }), 0);
      parentPort.postMessage('ready');
    })();`;
  for (let round = 0; round < 5; round += 1) {
    const worker = new Worker(code, { eval: true });
    await once(worker, 'message');
    await worker.terminate();
  }
  const pool = new SlotPool();
  const slot = await pool.acquire('user', 1, { limit: 1 });
  const alive = setInterval(() => {}, 1000);
  await assert.rejects(pool.acquire('user', 1, { limit: 1, timeout: 50 }), { code: 'timed_out' });
  clearInterval(alive);
  slot.release();
});
