'use strict';
// The publisher's time only, in bursts that readers drain before the next.

const { EventEmitter } = require('node:events');
const { Bus } = require('../index.js');
const { now } = require('./report.js');

const BURST = 32;
const BURSTS = 100;
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Nanoseconds of the publisher for each publish. */
async function bursts(publish) {
  let spent = 0;
  for (let burst = 0; burst < BURSTS; burst += 1) {
    const begun = now();
    for (let at = 0; at < BURST; at += 1) publish();
    spent += now() - begun;
    await turn();
  }
  return spent / (BURST * BURSTS);
}

async function publishRow(report, readers, target) {
  const name = `node/publish/${readers}`;
  if (!report.wants(name)) return;
  const bus = new Bus();
  let got = 0;
  for (let at = 0; at < readers; at += 1) {
    const sub = bus.subscribe({ overflow: 'catch_up' });
    (async () => {
      for (let texts; (texts = await sub.nextTexts('json')) !== null; ) got += texts.length;
    })();
  }
  await turn();
  let published = 0;
  const ours = () =>
    bursts(() => {
      published += 1;
      bus.publishRequest('POST', '/v1/messages', 'claude-sonnet-4', 42, 'success', 812);
    });
  const emitter = new EventEmitter().setMaxListeners(0);
  let length = 0;
  for (let at = 0; at < readers; at += 1) emitter.on('request', (event) => (length += JSON.stringify(event).length));
  const peer = () =>
    bursts(() =>
      emitter.emit('request', {
        timestamp: new Date().toISOString(),
        method: 'POST',
        path: '/v1/messages',
        model: 'claude-sonnet-4',
        account_id: 42,
        status: 'success',
        latency_ms: 812,
      }),
    );
  await report.measure({ name, peer: 'EventEmitter + JSON.stringify', target, rounds: 30 }, ours, peer);
  if (got !== published * readers || length === 0) throw new Error(`${got} texts of ${published} for ${readers} readers`);
  bus.close();
}

module.exports = { publishRow };
