'use strict';
// The shared cases of slots, as Node sees them: on memory and on the store of tests, by both faces of a wait.

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { test } = require('node:test');

const { runSlots } = require('./support/slot_script.js');

const FOLDER = join(__dirname, '../../../tests/conformance');
const FILES = ['backoff', 'bad_input', 'close', 'keys', 'limits', 'lost', 'order', 'outcomes', 'pings', 'scopes', 'try'];

function read(name) {
  return JSON.parse(readFileSync(join(FOLDER, `slots_${name}.json`), 'utf8'));
}

for (const file of FILES) {
  for (const place of ['memory', 'fault']) {
    test(`slots_${file}.json on ${place}`, async (t) => {
      const { cases } = read(file);
      assert.ok(cases.length > 0);
      for (const each of cases) {
        for (const face of ['try', 'next']) {
          if (place === 'fault' && each.memory_only !== undefined) {
            await assert.rejects(runSlots(each, face, place), `${each.name} holds on ${place} too`);
          } else if (!(await runSlots(each, face, place))) {
            t.diagnostic(`${each.name}: it says what Node cannot`);
          }
        }
      }
    });
  }
}

/** Every way to make one expectation of a step wrong. */
function wrongOnes(value) {
  if (value === null) return [7];
  if (typeof value === 'boolean') return [!value];
  if (typeof value === 'number') return [value + 1];
  if (typeof value === 'string') return [`${value}x`];
  if (Array.isArray(value)) {
    const inner = value.flatMap((part, at) => wrongOnes(part).map((wrong) => value.with(at, wrong)));
    return [...inner, [...value, 7]];
  }
  return Object.entries(value).flatMap(([name, part]) => wrongOnes(part).map((wrong) => ({ ...value, [name]: wrong })));
}

test('every case can fail by each of its expectations', async () => {
  const passed = [];
  let tried = 0;
  for (const file of FILES) {
    for (const each of read(file).cases) {
      if (!(await runSlots(each, 'try', 'memory'))) continue;
      for (const [at, step] of each.steps.entries()) {
        const [[word, fields]] = Object.entries(step);
        const isAsked = (name) =>
          (name !== 'keys' || !['load', 'order_by_load'].includes(word)) &&
          (name !== 'limit' || word === 'nonpositive_is_unlimited') &&
          (name !== 'count' || !['delays', 'touch'].includes(word));
        const names = 'expect is position keys chosen us was_held is_same count limit context'.split(' ');
        for (const name of names.filter((known) => known in fields && isAsked(known))) {
          for (const wrong of wrongOnes(fields[name])) {
            const steps = each.steps.with(at, { [word]: { ...fields, [name]: wrong } });
            tried += 1;
            const isPassing = await runSlots({ ...each, steps }, 'try', 'memory').then(Boolean, () => false);
            if (isPassing) passed.push(`${each.name}: ${JSON.stringify(steps[at])}`);
          }
        }
      }
    }
  }
  assert.ok(tried > 500, `${tried} wrong expectations`);
  assert.deepEqual(passed, []);
});
