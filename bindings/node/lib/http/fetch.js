'use strict';

const { Gate, isAllowedOrigin } = require('./gate.js');
const { SSE_HEADERS, pump, resumeId, subscribeOptions } = require('./stream.js');

function refusal(status, text, headers = {}) {
  return new Response(`${text}\n`, { status, headers });
}

/** A handler of `Request` to `Response`: for Hono and others that speak the words of fetch. */
function fetchHandler(bus, options = {}) {
  const gate = new Gate(options);
  const encoder = new TextEncoder();
  const addressOf = options.addressOf ?? (() => '');
  return function sse(request) {
    if (request.method !== 'GET') return refusal(405, 'GET only', { allow: 'GET' });
    const host = request.headers.get('host') ?? new URL(request.url).host;
    if (!isAllowedOrigin(request.headers.get('origin'), host, options)) return refusal(403, 'origin not allowed');
    if (bus.closed) return refusal(503, 'closed');
    // Without `addressOf` nobody has an address: only the limit of all counts.
    const leave = gate.enter(options.addressOf ? addressOf(request) : Symbol('nobody'));
    if (leave === null) return refusal(503, 'too many connections');
    const after = resumeId(request.headers.get('last-event-id'), request.url);
    const subscription = bus.subscribe(subscribeOptions(options, after));
    const gone = new AbortController();
    const leaveAll = () => {
      gone.abort();
      subscription.free();
      leave();
    };
    request.signal?.addEventListener('abort', leaveAll, { once: true });
    let wanted = null;
    const body = new ReadableStream({
      start(controller) {
        const write = (frames) => {
          controller.enqueue(typeof frames === 'string' ? encoder.encode(frames) : frames);
          if (controller.desiredSize > 0) return undefined;
          // Until the client asks for more.
          return new Promise((resolve) => (wanted = resolve));
        };
        pump(subscription, options, gone.signal, write)
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
      cancel() {
        wanted?.();
        leaveAll();
      },
    });
    return new Response(body, { headers: SSE_HEADERS });
  };
}

module.exports = { fetchHandler };
