'use strict';
// The shared cases of the bus, as Node sees them: what is read must not depend on the size of batches.

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { test } = require('node:test');

const { Bus } = require('./support/testing.js');
const { runBus } = require('./support/bus_script.js');

const FOLDER = join(__dirname, '../../../tests/conformance');
const FILES = ['audiences', 'close', 'expiry', 'filters', 'lifecycle', 'overflow', 'resume', 'statuses', 'texts'];

function read(name) {
  return JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8'));
}

for (const file of FILES) {
  test(`${file}.json`, async () => {
    const { cases } = read(file);
    assert.ok(cases.length > 0);
    for (const each of cases) {
      for (const maxItems of [256, 1, 3]) await runBus(each, maxItems);
    }
  });
}

test('encodings.json: every event in every form', () => {
  const { events } = read('encodings');
  assert.ok(events.length >= 25);
  for (const { name, id, kind, key, time_ns: time, payload, expect } of events) {
    for (const [form, want] of Object.entries(expect)) {
      const bus = new Bus();
      const sub = bus.subscribe({ overflow: 'catch_up' });
      const more = { key, timeNs: BigInt(time) };
      if (payload.sort === 'request') {
        const { method, path, model, status, extra } = payload;
        const [account, latency] = [BigInt(payload.account_id), BigInt(payload.latency_ms)];
        bus.publishRequest(method, path, model, account, status, latency, { ...more, extra });
      } else {
        const { sort, json, text, base64 } = payload;
        const said = { json: { jsonText: json }, text: { text }, bytes: { bytes: Buffer.from(base64 ?? '', 'base64') } };
        bus.publish({ kind, ...more, ...said[sort] });
      }
      // Node cannot choose ids: the one that the bus gave stands in place of the case's.
      const wanted = want.replaceAll(id, bus.newest);
      assert.deepEqual(sub.tryTexts(form), [wanted], `${name} as ${form}`);
    }
  }
});

test('what the runner does not know is an error', async () => {
  for (const step of [
    { pubilsh: { kind: 'k' } },
    { publish: { kind: 'k', txet: 'a' } },
    { recv: { from: 'r', expect: [{ event: 1 }] } },
    { recv: { from: 's', expect: [{ event: 1 }] } },
    { stats: { of: 's', matched: 7 } },
    { newest: { seq: 3 } },
    { publish: { kind: 'reqbus.x' } },
    { publish: { kind: 'k', expect: 'closed' } },
  ]) {
    const steps = [{ subscribe: { as: 's' } }, step];
    await assert.rejects(runBus({ name: 'x', steps }, 256), /^Error: x, step 2/, JSON.stringify(step));
  }
});
