'use strict';

const { Doors } = require('./doors.js');
const { SSE_HEADERS, pumpEvents, resumeId, subscribeOptions } = require('./stream.js');

function refusal(status, text, headers = {}) {
  return new Response(status === 204 ? null : `${text}\n`, { status, headers: { 'cache-control': 'no-store', ...headers } });
}

/** A handler of `Request` to `Response`: for Hono and others that speak the words of fetch. */
function fetchHandler(bus, options = {}) {
  const doors = Doors.of(options);
  const encoder = new TextEncoder();
  return function sse(request) {
    if (request.method !== 'GET' && request.method !== 'HEAD') return refusal(405, 'GET only', { allow: 'GET, HEAD' });
    const host = request.headers.get('host') ?? new URL(request.url).host;
    if (!doors.isAllowedOrigin(request.headers.get('origin'), host)) return refusal(403, 'origin not allowed');
    if (!doors.enabled) return refusal(204);
    if (bus.closed) return refusal(503, 'closed');
    if (request.method === 'HEAD') return new Response(null, { headers: SSE_HEADERS });
    // Without `addressOf` nobody has an address: only the limit of all counts.
    const leave = doors.enter(options.addressOf ? options.addressOf(request) : Symbol('nobody'));
    if (leave === null) return refusal(503, 'too many connections');
    const after = resumeId(request.headers.get('last-event-id'), request.url);
    const subscription = bus.subscribe(subscribeOptions(options, after));
    const gone = new AbortController();
    let wanted = null;
    const leaveAll = () => {
      gone.abort();
      wanted?.();
      subscription.free();
      leave();
    };
    request.signal?.addEventListener('abort', leaveAll, { once: true });
    const body = new ReadableStream({
      start(controller) {
        const write = (frames) => {
          controller.enqueue(typeof frames === 'string' ? encoder.encode(frames) : frames);
          if (controller.desiredSize > 0) return undefined;
          // Until the client asks for more.
          return new Promise((resolve) => (wanted = resolve));
        };
        pumpEvents(subscription, options, gone.signal, write)
          .then(() => controller.close())
          .catch((error) => {
            if (!gone.signal.aborted) controller.error(error);
          })
          .finally(leaveAll);
      },
      pull() {
        wanted?.();
        wanted = null;
      },
      cancel: leaveAll,
    });
    return new Response(body, { headers: SSE_HEADERS });
  };
}

module.exports = { fetchHandler };
