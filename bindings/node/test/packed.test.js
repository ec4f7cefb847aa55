'use strict';
// The package as users get it: packed, installed in an empty folder, loaded by import, require and TypeScript.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { test } = require('node:test');

const { platform } = require('../lib/native.js');

const ROOT = join(__dirname, '..');
const NAME = platform();
const BINARY = join(ROOT, `reqbus.${NAME}.node`);
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

function npm(args, cwd) {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function node(args, cwd) {
  return execFileSync(process.execPath, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

const USE = `const bus = new Bus();
const sub = bus.subscribe();
bus.publishRequest('POST', '/v1/messages', 'm', 42, 'success', 812);
console.log(sub.tryBatch().length, typeof sseHandler);`;

test('packed: what is in it, and how it is loaded', { skip: !existsSync(BINARY) && 'no binary was built' }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'reqbus-packed-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [{ filename, files }] = JSON.parse(npm(['pack', '--json', '--silent', '--pack-destination', folder], ROOT));
  const paths = files.map((file) => file.path);
  assert.ok(paths.includes('index.d.ts') && paths.includes('lib/native.js'));
  // No binary, no test, no source: the binary is in the package of its platform.
  assert.deepEqual(paths.filter((path) => /\.node$|^test|^src|\.rs$/.test(path)), []);

  const app = join(folder, 'app');
  mkdirSync(app);
  writeFileSync(join(app, 'package.json'), '{"private": true}');
  npm(['install', '--offline', '--no-audit', '--no-fund', '--omit=peer', join(folder, filename)], app);
  writeFileSync(join(app, 'use.mjs'), `import { Bus } from 'reqbus';\nimport { sseHandler } from 'reqbus/http';\n${USE}`);
  const requires = `const { Bus } = require('reqbus');\nconst { sseHandler } = require('reqbus/http');\n`;
  writeFileSync(join(app, 'use.cjs'), requires + USE);

  await t.test('a missing binary names the exact package', () => {
    assert.throws(() => node(['use.cjs'], app), (error) => {
      assert.ok(error.stderr.includes(`npm install @reqbus/node-${NAME}@${version}`), error.stderr);
      return true;
    });
  });

  const home = join(app, 'node_modules', '@reqbus', `node-${NAME}`);
  mkdirSync(home, { recursive: true });
  copyFileSync(BINARY, join(home, `reqbus.${NAME}.node`));
  const of = { name: `@reqbus/node-${NAME}`, version, main: `reqbus.${NAME}.node` };
  writeFileSync(join(home, 'package.json'), JSON.stringify(of));

  await t.test('by import', () => assert.equal(node(['use.mjs'], app), '1 function\n'));
  await t.test('by require', () => assert.equal(node(['use.cjs'], app), '1 function\n'));
  await t.test('by both: the same objects', () => {
    const both = `import { Bus } from 'reqbus'; import { createRequire } from 'node:module';
      console.log(createRequire(import.meta.url)('reqbus').Bus === Bus);`;
    writeFileSync(join(app, 'both.mjs'), both);
    assert.equal(node(['both.mjs'], app), 'true\n');
  });
  await t.test('no published binary carries the clock of tests', () => {
    assert.equal(node(['-p', `'NativeTestClock' in require('@reqbus/node-${NAME}')`], app), 'false\n');
  });
  await t.test('by TypeScript', () => {
    // The end of a subscription is a value of its own: types say so.
    const typed = USE.replace('tryBatch()', 'tryBatch()!');
    const imports = `import { Bus, type Item } from 'reqbus';\nimport { sseHandler } from 'reqbus/http';\n`;
    writeFileSync(join(app, 'use.mts'), `${imports}${typed}\nexport type I = Item;`);
    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
    const types = join(ROOT, 'node_modules', '@types');
    const flags = ['--noEmit', '--strict', '--module', 'node16', '--target', 'es2022', '--lib', 'es2023,esnext.disposable,dom'];
    node([tsc, ...flags, '--typeRoots', types, '--types', 'node', 'use.mts'], app);
  });
});
