'use strict';
// What is exported is described, by import as by require, and nothing else is.

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { test } = require('node:test');

require('./support/testing.js');

for (const name of ['index', 'http']) {
  test(`${name}: required, imported and described are the same`, async () => {
    const file = (ending) => join(__dirname, '..', `${name}${ending}`);
    const required = Object.keys(require(file('.js'))).sort();
    const { default: _, ...imported } = await import(file('.mjs'));
    const text = readFileSync(file('.d.ts'), 'utf8');
    const described = [...text.matchAll(/^export (?:class|function|const) (\w+)/gm)].map(([, word]) => word);
    assert.ok(required.length > 1);
    assert.deepEqual(Object.keys(imported).sort(), required);
    assert.deepEqual([...new Set(described)].sort(), required);
  });
}
