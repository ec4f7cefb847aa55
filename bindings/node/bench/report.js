'use strict';
// Rows beside a peer, in rounds that alternate: what disturbs one disturbs the other.

const { existsSync, mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const { dirname } = require('node:path');

/** Nanoseconds since some moment. */
const now = () => Number(process.hrtime.bigint());

const sorted = (list) => [...list].sort((one, other) => one - other);
const quantile = (list, at) => sorted(list)[Math.floor(at * (list.length - 1) + 0.5)];

class Report {
  #only;
  #isQuick;
  #rows = [];

  constructor({ only = '', quick = false } = {}) {
    this.#only = only;
    this.#isQuick = quick;
  }

  wants(name) {
    return name.includes(this.#only);
  }

  /** Makes rounds of ours and the peer in turn; each side returns what one round came to. */
  async measure({ name, peer, unit = 'ns', target, rounds, warm = 3 }, ours, theirs) {
    const count = this.#isQuick ? Math.ceil(rounds / 8) : rounds;
    const [us, them, ratios] = [[], [], []];
    for (let round = -warm; round < count; round += 1) {
      const [one, other] = [await ours(), await theirs()];
      if (round < 0) continue;
      us.push(one);
      them.push(other);
      ratios.push(one / other);
    }
    const row = { name, ours: quantile(us, 0.5), peer: quantile(them, 0.5), peer_name: peer, unit };
    this.#rows.push({ ...row, ratio: row.ours / row.peer, target, ratios });
    console.error(`${name.padEnd(32)} ${(row.ours / row.peer).toFixed(3)}`);
  }

  print() {
    const cells = (row, ours, theirs, unit, ratio, target, spread, peer) =>
      `${row.padEnd(31)} ${ours.padStart(9)} ${theirs.padStart(9)}  ${unit.padEnd(13)} ${ratio.padStart(6)} ${target.padEnd(13)} ${spread.padEnd(11)} ${peer}`;
    console.log(cells('row', 'ours', 'peer', 'unit', 'ratio', ' target', 'rounds', 'peer'));
    for (const { name, ours, peer, peer_name: of, unit, ratio, target, ratios } of this.#rows) {
      const met = `${String(target).padStart(6)} ${ratio > target ? 'MISSED' : 'met'}`;
      const spread = [0.25, 0.75].map((at) => quantile(ratios, at).toFixed(2)).join('-');
      console.log(cells(name, short(ours), short(peer), unit, ratio.toFixed(3), met, spread, of));
    }
  }

  /** Puts the rows among those of the file, which other languages write to as well. */
  write(path) {
    const file = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : { rows: [] };
    for (const { ratios, target, ...row } of this.#rows) {
      file.rows = [...file.rows.filter(({ name }) => name !== row.name), row];
    }
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${JSON.stringify(file, null, 2)}\n`);
  }
}

function short(value) {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

module.exports = { Report, now };
