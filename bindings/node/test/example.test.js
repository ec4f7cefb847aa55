'use strict';
// The example runs, as its readers run it.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, existsSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { test } = require('node:test');

const { platform } = require('../lib/native.js');

const ROOT = join(__dirname, '..');
const HAS_BINARY = existsSync(join(ROOT, `reqbus.${platform()}.node`));

test('examples/node: slots, events, and the stream of them', { skip: !HAS_BINARY && 'no binary was built' }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'reqbus-example-'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(ROOT, join(folder, 'node_modules/reqbus'));
  symlinkSync(join(ROOT, 'node_modules/express'), join(folder, 'node_modules/express'));
  copyFileSync(join(ROOT, '../../examples/node/gateway.js'), join(folder, 'gateway.js'));
  const gateway = spawn(process.execPath, ['gateway.js'], { cwd: folder, env: { ...process.env, PORT: '0' } });
  t.after(() => {
    gateway.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  const [line] = await once(gateway.stdout.setEncoding('utf8'), 'data');
  const url = `http://127.0.0.1:${line.match(/\d+/)[0]}`;

  const gone = new AbortController();
  const events = await fetch(`${url}/events`, { signal: gone.signal });
  const post = (model) =>
    fetch(`${url}/v1/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-user': '42' },
      body: JSON.stringify({ model }),
    }).then((answer) => answer.text());
  const answers = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(post));
  for (const answer of answers) assert.match(answer, /"world"/);

  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of events.body) {
    text += decoder.decode(chunk, { stream: true });
    if (text.split('"status":"success"').length > 5) break;
  }
  gone.abort();
  for (const model of ['a', 'b', 'c', 'd', 'e']) assert.ok(text.includes(`"model":"${model}"`), text);
});
