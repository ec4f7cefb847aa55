'use strict';
// Finds the extension: beside this package while it is developed, else in the package of the platform.

const { existsSync } = require('node:fs');
const { join } = require('node:path');

/** The name of the platform: as napi-rs calls it, and as the package of its binary ends. */
function platform() {
  const { platform: system, arch } = process;
  if (system !== 'linux') return `${system}-${arch}`;
  // A glibc says its version; a musl says nothing.
  const { glibcVersionRuntime } = process.report.getReport().header;
  return `linux-${arch}-${glibcVersionRuntime ? 'gnu' : 'musl'}`;
}

function load() {
  const name = platform();
  const beside = join(__dirname, '..', `reqbus.${name}.node`);
  if (existsSync(beside)) return require(beside);
  const wanted = `@reqbus/node-${name}`;
  try {
    return require(wanted);
  } catch (cause) {
    const { version } = require('../package.json');
    const isMissing = cause.code === 'MODULE_NOT_FOUND' && cause.message.includes(wanted);
    const advice = isMissing
      ? `reqbus has no binary for this platform here. Install it: npm install ${wanted}@${version} ` +
        '(npm leaves optional packages out with --omit=optional, and sometimes with a package-lock.json ' +
        'that was made on another platform: https://github.com/npm/cli/issues/4828)'
      : `reqbus cannot load its binary ${wanted}: ${cause.message}`;
    throw Object.assign(new Error(advice, { cause }), { code: 'ERR_REQBUS_BINARY', package: wanted });
  }
}

let native;

/** The extension. */
function get() {
  native ??= load();
  return native;
}

/** Another build in its place, before anything else is loaded: for tests that drive the clock. */
function use(other) {
  native = other;
}

module.exports = { get, use, platform };
