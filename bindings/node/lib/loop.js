'use strict';
// The one bell of this environment (the main thread, or one worker), and who waits for it.

const native = require('./native.js').get();

/** By token; only who waits just now is kept here, and by that kept alive. */
const waiting = new Map();
/** Waits that a promise stands for, by their numbers in the extension. */
const expected = new Map();
let lastToken = 0;

const bell = new native.NativeLoop(drain);

/** Tells everybody who has something new. A call that rang here, but for a publish, does so before it returns. */
function drain() {
  const ready = bell.take();
  if (ready === null) return;
  if (typeof ready === 'number') return void waiting.get(ready)?.();
  for (let at = 0; at < ready.length; at += 1) {
    const token = ready[at];
    if (token >= 0) waiting.get(token)?.();
    else expected.get(-1 - token)?.(ready[(at += 1)]);
  }
}

let isSoon = false;

/**
 * As `drain`, once what runs now is over: a burst then costs its publisher one look, and not one for each reader. What
 * drains before that takes these along.
 */
function drainSoon() {
  if (isSoon) return;
  isSoon = true;
  queueMicrotask(() => {
    isSoon = false;
    drain();
  });
}

/** A token that nobody has. */
function newToken() {
  lastToken += 1;
  return lastToken;
}

/** `told` is called when there is something new under `token`, as often as there is, until `forget`. */
function listen(token, told) {
  waiting.set(token, told);
}

function forget(token) {
  waiting.delete(token);
}

/** Calls `told` when the signal is aborted; what it returns undoes that. */
function onAbort(signal, told) {
  if (signal === undefined || signal === null) return () => {};
  signal.addEventListener('abort', told, { once: true });
  return () => signal.removeEventListener('abort', told);
}

module.exports = {
  bell,
  drain,
  drainSoon,
  expected,
  forget,
  listen,
  newToken,
  onAbort,
  waiters: () => waiting.size + expected.size,
};
