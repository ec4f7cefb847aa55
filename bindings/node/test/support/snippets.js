'use strict';
// The ```js blocks of documents, as programs: by import, by require and by TypeScript.
//
//   node snippets.js FOLDER FILE...      runs those of the files in a folder where the package is installed

const { execFileSync } = require('node:child_process');
const { readFileSync, writeFileSync } = require('node:fs');
const { basename, join } = require('node:path');

/** A snippet that serves ends all the same, on whatever port is free. */
const QUIET = `const { Server } = require('node:net');
const { listen } = Server.prototype;
Server.prototype.listen = function quiet(port, ...rest) {
  return listen.call(this, typeof port === 'number' ? 0 : port, ...rest).unref();
};
`;

/** The blocks of a document, each with the line on which it begins. */
function blocksOf(file) {
  const lines = readFileSync(file, 'utf8').split('\n');
  const blocks = [];
  let block = null;
  lines.forEach((line, at) => {
    if (block === null && /^```js\s*$/.test(line)) block = { name: `${basename(file, '.md')}-${at + 1}`, lines: [] };
    else if (block !== null && /^```\s*$/.test(line)) {
      blocks.push({ name: block.name, code: block.lines.join('\n') });
      block = null;
    } else block?.lines.push(line);
  });
  if (block !== null) throw new Error(`${file}: a block is not closed`);
  return blocks;
}

/** The same program with require. */
function withRequire(code) {
  const named = code.replace(/^import (\{[^}]*\}) from ('[^']*');$/gm, 'const $1 = require($2);');
  const all = named.replace(/^import (\w+) from ('[^']*');$/gm, 'const $1 = require($2);');
  return `(async () => {\n${all}\n})();\n`;
}

/** Runs a block in a folder, both ways; it must end by itself, and say nothing of errors. */
function run(folder, { name, code }) {
  writeFileSync(join(folder, 'quiet.cjs'), QUIET);
  for (const [ending, text] of [['mjs', code], ['cjs', withRequire(code)]]) {
    const file = `${name}.${ending}`;
    writeFileSync(join(folder, file), text);
    execFileSync(process.execPath, ['--require', './quiet.cjs', file], { cwd: folder, timeout: 30000, stdio: 'pipe' });
  }
}

if (require.main === module) {
  const [folder, ...files] = process.argv.slice(2);
  const blocks = files.flatMap(blocksOf);
  if (blocks.length === 0) throw new Error('no ```js block');
  for (const block of blocks) {
    run(folder, block);
    console.log(`ok   ${block.name}.js`);
  }
}

module.exports = { blocksOf, run };
