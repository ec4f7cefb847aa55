'use strict';
// What scripts of pools say of keys, limits and refusals, and what the package says of them.

const assert = require('node:assert/strict');
const { plain } = require('./fields.js');

const text = (value) => (typeof value === 'string' ? value : value.text.repeat(value.times));
const key = ([scope, id]) => [text(scope), text(id)];
const keyOf = ({ scope, id }) => [scope, id];
const ms = (time) => (time === null ? null : Math.floor(time + 1e-6));

/** An ask of a script. */
function ask([scope, id, limit]) {
  return [text(scope), text(id), limit];
}

/** Whether a case asks with a negative limit, which Node refuses before the pool is asked. */
function isUnsayable(step) {
  return Object.values(step).some((f) => (f.asks ?? []).some((each) => each[2] < 0));
}

function loadAsJson(load) {
  return {
    in_use: load.inUse,
    waiting: load.waiting,
    lapsed: load.lapsed,
    limit: load.limit,
    rate: load.rate,
    is_closed: load.isClosed,
    has_room: load.hasRoom,
    oldest_wait_ms: ms(load.oldestWait),
    oldest_hold_ms: ms(load.oldestHold),
  };
}

function holderAsJson(holder) {
  return { key: keyOf(holder), label: holder.label, age_ms: ms(holder.age) };
}

function refusalAsJson(error) {
  const { cause } = error;
  // A reason of the host's own is its word, not an error of the library.
  const isOurs = cause?.name === 'ReqbusError';
  return {
    outcome: error.code,
    scope: error.scope,
    limit: error.limit,
    in_use: error.inUse,
    waiting: error.waiting,
    position: error.position,
    waited_ms: ms(error.waited),
    pings: error.pings,
    retry_after_s: error.retryAfter,
    error: isOurs ? cause.code : cause === undefined ? null : 'system',
    context: isOurs ? cause.context : cause === undefined ? null : 'host',
    cause: cause?.message ?? cause ?? null,
  };
}

/** The fields of a refusal that say how its key stood. */
const STANDING = ['limit', 'in_use', 'waiting', 'position', 'retry_after_s'];

function countersAsJson(stats) {
  if (stats === null) return null;
  const { waits, meanHold, peak, ...counters } = stats;
  const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const all = Object.fromEntries(Object.entries(counters).map(([name, value]) => [snake(name), plain(value)]));
  return {
    ...all,
    waits: plain(waits.count),
    wait_p50_ms: ms(waits.p50),
    wait_p90_ms: ms(waits.p90),
    wait_p99_ms: ms(waits.p99),
    wait_max_ms: ms(waits.max),
    ...(peak === undefined ? {} : { peak, mean_hold_ms: ms(meanHold) }),
  };
}

/** Compares the fields that the expectation names. A time needs a clock that stands still. */
function same(want, got, timed) {
  if (want === null || got === null || typeof want !== 'object' || Array.isArray(want)) {
    return assert.deepEqual(got, want);
  }
  for (const [name, value] of Object.entries(want)) {
    if (name.endsWith('_ms') && !timed) throw new Error(`${name} is compared in a case that moves no clock`);
    if (!Object.hasOwn(got, name)) throw new Error(`unknown field ${name}`);
    assert.deepEqual(got[name], value, `${name} is ${JSON.stringify(got)}`);
  }
}

function sameList(want, got, timed) {
  if (!Array.isArray(want)) throw new Error('field is is missing');
  assert.equal(got.length, want.length, JSON.stringify(got));
  want.forEach((each, at) => same(each, got[at], timed));
}

module.exports = {
  STANDING,
  ask,
  countersAsJson,
  holderAsJson,
  isUnsayable,
  key,
  keyOf,
  loadAsJson,
  ms,
  refusalAsJson,
  same,
  sameList,
  text,
};
