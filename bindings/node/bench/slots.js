'use strict';

const { SlotPool } = require('../index.js');
const { now } = require('./report.js');

const ROUNDS = 2000;
const WAITERS = 100;
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Nanoseconds of one uncontended acquire and release. */
async function acquireReleaseRow(report) {
  const name = 'node/acquire-release';
  if (!report.wants(name)) return;
  const pool = new SlotPool();
  const ours = async () => {
    const begun = now();
    for (let at = 0; at < ROUNDS; at += 1) (await pool.acquire('user', 42, { limit: 5 })).release();
    return (now() - begun) / ROUNDS;
  };
  const { default: pLimit } = await import('p-limit');
  const limited = pLimit(5);
  const peer = async () => {
    const begun = now();
    for (let at = 0; at < ROUNDS; at += 1) await limited(() => undefined);
    return (now() - begun) / ROUNDS;
  };
  await report.measure({ name, peer: 'p-limit', target: 3, rounds: 30 }, ours, peer);
}

/** Nanoseconds from a release to the next grant, down a queue that is there before. */
async function handOverRow(report) {
  const name = 'node/hand-over';
  if (!report.wants(name)) return;
  const pool = new SlotPool();
  const ours = async () => {
    const held = await pool.acquire('user', 42, { limit: 1 });
    let granted = 0;
    const wait = async () => {
      const slot = await pool.acquire('user', 42, { limit: 1, maxWaiting: WAITERS });
      granted += 1;
      slot.release();
    };
    const all = Array.from({ length: WAITERS }, wait);
    await turn();
    const begun = now();
    held.release();
    await Promise.all(all);
    const spent = now() - begun;
    if (granted !== WAITERS) throw new Error('not all were served');
    return spent / WAITERS;
  };
  const { default: pLimit } = await import('p-limit');
  const peer = async () => {
    const limited = pLimit(1);
    let release;
    const held = limited(() => new Promise((resolve) => (release = resolve)));
    let granted = 0;
    const all = Array.from({ length: WAITERS }, () => limited(() => (granted += 1)));
    await turn();
    const begun = now();
    release();
    await Promise.all(all);
    const spent = now() - begun;
    await held;
    if (granted !== WAITERS) throw new Error('not all were served');
    return spent / WAITERS;
  };
  await report.measure({ name, peer: 'p-limit', target: 3, rounds: 300, warm: 50 }, ours, peer);
}

module.exports = { acquireReleaseRow, handOverRow };
