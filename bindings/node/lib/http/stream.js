'use strict';
// What the handlers have in common, whatever carries them.

const SSE_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

/** The id to resume after: the header beats the query, and one that is there but empty is an id that is none. */
function resumeId(header, url) {
  if (header !== undefined && header !== null) return header;
  const at = (url ?? '').indexOf('?');
  return at < 0 ? null : new URLSearchParams(url.slice(at)).get('last_event_id');
}

/** Options of a subscription for a client that reconnects. */
function subscribeOptions({ keys, kinds, label, linger = 10 }, after) {
  return { keys, kinds, label, linger, after, overflow: 'catch_up' };
}

/** `promise`, or a rejection after so many milliseconds. */
function within(ms, promise) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the client takes nothing')), ms);
    timer.unref?.();
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/**
 * Writes what there is until the end. `read` gives the next of it, `null` at the end; `write` may return a promise, which
 * is waited for; `beat` is called when the client has heard nothing for `heartbeat` ms.
 */
async function pump({ heartbeat, writeTimeout = 10000 }, read, write, beat) {
  let isQuiet = true;
  const timer = setInterval(() => {
    if (isQuiet) beat();
    isQuiet = true;
  }, heartbeat);
  timer.unref?.();
  try {
    for (;;) {
      const what = await read();
      if (what === null) return;
      isQuiet = false;
      const written = write(what);
      if (written !== undefined) await within(writeTimeout, written);
    }
  } finally {
    clearInterval(timer);
  }
}

/** Serves a subscription as server-sent events. `write` gets bytes or text. */
function pumpEvents(subscription, { heartbeat = 15000, retry = 3000, writeTimeout }, signal, write) {
  const beat = () => {
    // A look first: events that others get are settled by it.
    const frames = subscription.tryBytes('sse');
    write(frames?.length > 0 ? frames : subscription.heartbeat('sse'));
  };
  // The settled id at once: who breaks off before the first event resumes from here.
  write(`retry: ${Math.round(retry)}\n\n${subscription.heartbeat('sse')}`);
  return pump({ heartbeat, writeTimeout }, () => subscription.nextBytes('sse', { signal }), write, beat);
}

module.exports = { SSE_HEADERS, pump, pumpEvents, resumeId, subscribeOptions, within };
