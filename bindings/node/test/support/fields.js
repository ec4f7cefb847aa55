'use strict';

/** A JSON object of which every field must be asked for, so that a typo cannot pass. */
class Fields {
  #map;
  #asked = new Set();

  constructor(map) {
    if (map === null || typeof map !== 'object' || Array.isArray(map)) throw new Error(`not an object: ${map}`);
    this.#map = map;
  }

  get(name) {
    this.#asked.add(name);
    return this.#map[name];
  }

  need(name) {
    const value = this.get(name);
    if (value === undefined) throw new Error(`field ${name} is missing`);
    return value;
  }

  /** Compares a number, a boolean, `null` or a list, if the field is there. */
  same(name, got) {
    const want = this.get(name);
    if (want !== undefined && JSON.stringify(want) !== JSON.stringify(plain(got))) {
      throw new Error(`${name} is ${JSON.stringify(plain(got))}, not ${JSON.stringify(want)}`);
    }
  }

  done() {
    const unknown = Object.keys(this.#map).filter((name) => !this.#asked.has(name));
    if (unknown.length > 0) throw new Error(`unknown fields: ${unknown}`);
  }
}

/** BigInts as the numbers that scripts write. */
function plain(value) {
  return typeof value === 'bigint' ? Number(value) : value;
}

/** Compares what `run` answers with fields `expect` (`ok`, or an error's code) and `context`. */
async function answered(f, run) {
  const want = f.get('expect') ?? 'ok';
  const context = f.get('context');
  let answer;
  let error = null;
  try {
    answer = await run();
  } catch (thrown) {
    if (thrown.name !== 'ReqbusError') throw thrown;
    error = thrown;
  }
  const got = error?.code ?? 'ok';
  if (got !== want) throw new Error(`the answer is ${error ?? 'ok'}, not ${want}`);
  if (context !== undefined && error?.context !== context) throw new Error(`context is ${error?.context}`);
  return { ok: error === null, answer };
}

module.exports = { Fields, answered, plain };
