'use strict';
// What SSE has in common, whatever carries it.

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

/**
 * Writes frames until the end. `write` gets bytes or text and may return a promise, which is waited for; a quiet
 * connection gets a heartbeat with the settled id.
 */
async function pump(subscription, { heartbeat = 15000 }, signal, write) {
  let isQuiet = true;
  const timer = setInterval(() => {
    if (isQuiet) write(subscription.heartbeat('sse'));
    isQuiet = true;
  }, heartbeat);
  timer.unref();
  try {
    for (;;) {
      const frames = await subscription.nextBytes('sse', { signal });
      if (frames === null) return;
      isQuiet = false;
      await write(frames);
    }
  } finally {
    clearInterval(timer);
  }
}

module.exports = { SSE_HEADERS, pump, resumeId, subscribeOptions };
