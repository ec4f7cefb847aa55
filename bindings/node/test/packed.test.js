'use strict';
// The package as users get it: packed, installed in an empty folder, loaded by import, require and TypeScript.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { test } = require('node:test');

const { platform: platformName } = require('../lib/native.js');
const { packAll } = require('../scripts/pack.js');
const { blocksOf, run } = require('./support/snippets.js');

const ROOT = join(__dirname, '..');
const NAME = platformName();
const BINARY = join(ROOT, `reqbus.${NAME}.node`);
const manifestOf = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
const { version } = manifestOf(ROOT);

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
  const [main, ...platforms] = packAll(folder);
  assert.ok(['index.d.ts', 'lib/native.js', 'lib/http/viewer.html', 'LICENSE-MIT'].every((file) => main.files.includes(file)));
  // No binary, no test, no source: the binary is in the package of its platform.
  assert.deepEqual(main.files.filter((path) => /\.node$|^test|^src|^bench|^scripts|\.rs$/.test(path)), []);
  const platform = platforms.find((packed) => packed.name === `@reqbus/node-${NAME}`);
  assert.ok(platform.files.includes(`reqbus.${NAME}.node`));

  const app = join(folder, 'app');
  mkdirSync(app);
  writeFileSync(join(app, 'package.json'), '{"private": true}');
  const install = (tarball) => npm(['install', '--offline', '--no-audit', '--no-fund', '--omit=optional', tarball], app);
  install(main.tarball);
  const { optionalDependencies, devDependencies } = manifestOf(join(app, 'node_modules/reqbus'));
  assert.deepEqual([optionalDependencies[platform.name], devDependencies], [version, undefined]);
  writeFileSync(join(app, 'use.mjs'), `import { Bus } from 'reqbus';\nimport { sseHandler } from 'reqbus/http';\n${USE}`);
  const requires = `const { Bus } = require('reqbus');\nconst { sseHandler } = require('reqbus/http');\n`;
  writeFileSync(join(app, 'use.cjs'), requires + USE);

  await t.test('a missing binary names the exact package', () => {
    assert.throws(() => node(['use.cjs'], app), (error) => {
      assert.ok(error.stderr.includes(`npm install @reqbus/node-${NAME}@${version}`), error.stderr);
      return true;
    });
  });

  install(platform.tarball);
  const own = manifestOf(join(app, 'node_modules', platform.name));
  const [os, cpu, abi] = NAME.split('-');
  assert.deepEqual([own.os, own.cpu, own.libc], [[os], [cpu], [abi === 'gnu' ? 'glibc' : abi]]);

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
  await t.test('a WebSocket handler without ws says what to install', () => {
    const code = `const { Bus } = require('reqbus'); require('reqbus/http').wsHandler(new Bus());`;
    assert.throws(() => node(['-e', code], app), (error) => error.stderr.includes('npm install ws'));
  });

  symlinkSync(join(ROOT, 'node_modules/ws'), join(app, 'node_modules/ws'));
  const blocks = blocksOf(join(ROOT, 'README.md'));
  assert.ok(blocks.length >= 4);
  for (const block of blocks) await t.test(`${block.name} by import and by require`, () => run(app, block));
  await t.test('all of it by TypeScript', () => {
    const files = blocks.map(({ name, code }) => {
      writeFileSync(join(app, `${name}.mts`), `${code}\nexport {};\n`);
      return `${name}.mts`;
    });
    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
    const types = join(ROOT, 'node_modules', '@types');
    const flags = ['--noEmit', '--strict', '--module', 'node16', '--target', 'es2022', '--lib', 'es2023,esnext.disposable,dom'];
    node([tsc, ...flags, '--typeRoots', types, '--types', 'node', ...files], app);
  });
});
