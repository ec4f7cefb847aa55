'use strict';
// The shared cases of the runner, as Node sees them: the admission, on a driven clock.

const assert = require('node:assert/strict');
const { readFileSync, readdirSync } = require('node:fs');
const { join } = require('node:path');
const { test } = require('node:test');

const { runRunner } = require('./support/runner_script.js');

const FOLDER = join(__dirname, '../../../tests/conformance');
const FILES = readdirSync(FOLDER).filter((file) => /^runner_.*\.json$/.test(file));

test('there are cases of the runner', () => {
  assert.ok(FILES.length >= 5, FILES.join());
});

for (const file of FILES) {
  test(file, async () => {
    const { cases } = JSON.parse(readFileSync(join(FOLDER, file), 'utf8'));
    assert.ok(cases.length > 0);
    for (const each of cases) await runRunner(each);
  });
}

test('a wrong expectation of a runner fails', async () => {
  const round = { round: { due: [['a', 0]], permits: ['a'] } };
  const told = (...steps) => runRunner({ name: 'the-case', steps: [round, ...steps] });
  await told({ stats: { run: 1 } });
  for (const step of [
    { round: { due: [['b', 0]], permits: [] } },
    { round: { due: [['a', 0]], permits: ['a'] } },
    { round: { due: [['b', 0]], expect: 'closed' } },
    { round: { due: [['', 0]], expect: 'invalid_argument', context: 'key' } },
    { round: { due: [['b']] } },
    { stats: { run: 2 } },
    { stats: { runs: 1 } },
    { in_flight: { is: [] } },
    { in_flight: { is: [{ id: 'a', age_ms: 1 }] } },
    { permit: { of: 'a', should_end: true } },
    { permit: { of: 'b' } },
    { until_next_round: { ms: 4999 } },
    { until_next_round: { at_most_ms: 4999 } },
    { finish: { id: 'a', verdict: 'ok' } },
    { paused: { answer: true } },
    { start: {} },
  ]) {
    await assert.rejects(told(step), /^Error: the-case, step 2/, JSON.stringify(step));
  }
  const refused = { at_once: 1025, expect: 'invalid_argument' };
  await assert.rejects(runRunner({ name: 'x', runner: refused, steps: [{ stop: {} }] }));
  await assert.rejects(runRunner({ name: 'x', runner: { at: 1 }, steps: [] }));
});
