'use strict';
// Measures beside peers in one run, of a release build that lies beside index.js. Writes rows in the form of
// target/bench.json.

const { EventEmitter } = require('node:events');
const { Bus, SlotPool } = require('../index.js');
const { beside, now } = require('./rounds.js');

const BURST = 32;
const BURSTS = 100;
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Nanoseconds of the publisher for each publish, in bursts that readers drain before the next. */
async function publishing(readers) {
  const bus = new Bus();
  const subs = Array.from({ length: readers }, () => bus.subscribe({ overflow: 'catch_up' }));
  for (const sub of subs) {
    (async () => {
      while ((await sub.nextTexts('json')) !== null);
    })();
  }
  await turn();
  const ours = async () => {
    let spent = 0;
    for (let burst = 0; burst < BURSTS; burst += 1) {
      const begun = now();
      for (let at = 0; at < BURST; at += 1) bus.publishRequest('POST', '/v1/messages', 'claude-sonnet-4', 42, 'success', 812);
      spent += now() - begun;
      await turn();
    }
    return spent / (BURST * BURSTS);
  };
  const emitter = new EventEmitter().setMaxListeners(0);
  let length = 0;
  for (let at = 0; at < readers; at += 1) emitter.on('request', (event) => (length += JSON.stringify(event).length));
  const peer = async () => {
    let spent = 0;
    for (let burst = 0; burst < BURSTS; burst += 1) {
      const begun = now();
      for (let at = 0; at < BURST; at += 1) {
        emitter.emit('request', {
          timestamp: new Date().toISOString(),
          method: 'POST',
          path: '/v1/messages',
          model: 'claude-sonnet-4',
          account_id: 42,
          status: 'success',
          latency_ms: 812,
        });
      }
      spent += now() - begun;
      await turn();
    }
    return spent / (BURST * BURSTS);
  };
  const outcome = await beside(30, ours, peer);
  bus.close();
  return outcome;
}

/** Nanoseconds of one uncontended acquire and release. */
async function acquiring() {
  const pool = new SlotPool();
  const ours = async () => {
    const begun = now();
    for (let at = 0; at < 2000; at += 1) (await pool.acquire('user', 42, { limit: 5 })).release();
    return (now() - begun) / 2000;
  };
  const { default: pLimit } = await import('p-limit');
  const limited = pLimit(5);
  const peer = async () => {
    const begun = now();
    for (let at = 0; at < 2000; at += 1) await limited(() => undefined);
    return (now() - begun) / 2000;
  };
  return beside(30, ours, peer);
}

async function main() {
  const rows = [
    ['node/publish/1', 'EventEmitter + JSON.stringify', 1.3, () => publishing(1)],
    ['node/publish/64', 'EventEmitter + JSON.stringify', 0.05, () => publishing(64)],
    ['node/acquire-release', 'p-limit', 3, acquiring],
  ];
  const table = [];
  for (const [row, peer, target, measure] of rows) {
    const { ours, peer: theirs } = await measure();
    table.push({ name: row, ours, peer: theirs, peer_name: peer, unit: 'ns', ratio: ours / theirs });
    console.error(`${row.padEnd(24)} ${ours.toFixed(0)} ns beside ${theirs.toFixed(0)} ns: ${(ours / theirs).toFixed(2)} of ${target}`);
  }
  console.log(JSON.stringify({ rows: table }, null, 2));
}

main();
