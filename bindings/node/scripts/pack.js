'use strict';
// Makes the packages that are published, as @napi-rs/cli lays them out: one for each platform whose binary is here, and the
// package itself, which names them all as optional dependencies of its own version.
//
//   node scripts/pack.js FOLDER [--binaries FOLDER]

const { execFileSync } = require('node:child_process');
const { copyFileSync, existsSync, mkdirSync, mkdtempSync, cpSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { parseArgs } = require('node:util');

const ROOT = join(__dirname, '..');
const LICENSES = ['LICENSE', 'LICENSE-APACHE', 'LICENSE-MIT'];
const CPUS = { x86_64: 'x64', aarch64: 'arm64' };
const LIBC = { gnu: 'glibc', musl: 'musl' };

/** What a target triple is called, and for whom it is. */
function platformOf(triple) {
  const [cpu, , system, abi] = triple.split('-');
  if (CPUS[cpu] === undefined || system !== 'linux' || LIBC[abi] === undefined) throw new Error(`no name for ${triple}`);
  const name = `${system}-${CPUS[cpu]}-${abi}`;
  return { triple, name, fields: { cpu: [CPUS[cpu]], os: [system], libc: [LIBC[abi]] } };
}

function write(folder, manifest) {
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** The package of one platform. */
function layPlatform(folder, { triple, name, fields }, binary, main) {
  const { version, description, license, engines, repository, napi } = main;
  const file = `${napi.binaryName}.${name}.node`;
  mkdirSync(folder, { recursive: true });
  copyFileSync(binary, join(folder, file));
  const own = { name: `${napi.packageName}-${name}`, version, cpu: fields.cpu, main: file, files: [file, ...LICENSES] };
  write(folder, { ...own, description, license, engines, repository, os: fields.os, libc: fields.libc });
  writeFileSync(join(folder, 'README.md'), `# \`${own.name}\`\n\nThis is the **${triple}** binary for \`${main.name}\`.\n`);
}

/** The package itself: what its manifest lists, and nothing that only its development needs. */
function layMain(folder, platforms, { devDependencies, scripts, ...main }) {
  cpSync(ROOT, folder, { recursive: true, filter: (path) => !/node_modules|\.node$|[\\/](test|src|bench|scripts)$/.test(path) });
  const optional = platforms.map(({ name }) => [`${main.napi.packageName}-${name}`, main.version]);
  write(folder, { ...main, files: [...main.files, ...LICENSES], optionalDependencies: Object.fromEntries(optional) });
}

function pack(folder, to) {
  for (const file of LICENSES) copyFileSync(join(ROOT, '../..', file), join(folder, file));
  const said = execFileSync('npm', ['pack', '--json', '--silent', '--pack-destination', to], { cwd: folder, encoding: 'utf8' });
  const [{ name, filename, files }] = JSON.parse(said);
  return { name, tarball: join(to, filename), files: files.map(({ path }) => path) };
}

/** All packages, packed into a folder. */
function packAll(to, binaries = ROOT) {
  const main = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const platforms = main.napi.targets.map(platformOf);
  const work = mkdtempSync(join(tmpdir(), 'reqbus-pack-'));
  mkdirSync(to, { recursive: true });
  try {
    const packed = [];
    for (const platform of platforms) {
      const binary = join(binaries, `${main.napi.binaryName}.${platform.name}.node`);
      if (!existsSync(binary)) continue;
      const folder = join(work, platform.name);
      layPlatform(folder, platform, binary, main);
      packed.push(pack(folder, to));
    }
    const folder = join(work, 'main');
    layMain(folder, platforms, main);
    return [pack(folder, to), ...packed];
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

if (require.main === module) {
  const { values, positionals } = parseArgs({ options: { binaries: { type: 'string' } }, allowPositionals: true });
  if (positionals.length !== 1) throw new Error('usage: node scripts/pack.js FOLDER [--binaries FOLDER]');
  for (const { tarball } of packAll(positionals[0], values.binaries)) console.log(tarball);
}

module.exports = { packAll };
