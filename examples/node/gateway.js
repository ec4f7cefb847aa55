'use strict';
// A gateway in Express: at most two requests in flight per user, who finds no room waits its turn with pings, each
// finished request is an event, and /events shows them live.
//
//   npm install && node gateway.js          then: curl -N localhost:8080/events
//   curl -d '{"model":"m"}' -H 'x-user: 42' localhost:8080/v1/messages

const express = require('express');
const { Bus, SlotError, SlotPool } = require('reqbus');
const { sseHandler } = require('reqbus/http');

const HTTP = { queue_full: 429, timed_out: 429, busy: 429, closed: 503, store_unavailable: 503, invalid: 400 };

const bus = new Bus();
const pool = new SlotPool();
const app = express();

/** Stands in for the upstream. */
async function* upstream() {
  for (const word of ['Hello', ', ', 'world']) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    yield word;
  }
}

app.get('/events', sseHandler(bus));

app.post('/v1/messages', express.json(), async (req, res) => {
  const begun = Date.now();
  const gone = new AbortController();
  res.on('close', () => gone.abort());
  const ping = () => {
    if (!res.headersSent) res.type('text/event-stream');
    res.write('data: {"type": "ping"}\n\n');
  };
  let status = 'success';
  let slot;
  try {
    slot = await pool.acquire('user', req.get('x-user') ?? 'nobody', { limit: 2, signal: gone.signal, onPing: ping });
    if (!res.headersSent) res.type('text/event-stream');
    for await (const text of upstream()) res.write(`data: ${JSON.stringify({ type: 'text', text })}\n\n`);
    res.end();
  } catch (error) {
    if (!(error instanceof SlotError)) throw error;
    status = 'rate_limited';
    if (error.retryAfter !== null && !res.headersSent) res.set('retry-after', String(error.retryAfter));
    if (res.headersSent) res.end(`data: ${JSON.stringify({ type: 'error', code: error.code })}\n\n`);
    else res.status(HTTP[error.code] ?? 499).json({ error: error.code });
  } finally {
    slot?.release();
    bus.publishRequest(req.method, req.path, req.body?.model ?? '', 0, status, Date.now() - begun);
  }
});

const server = app.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
  console.log(`listening on ${server.address().port}`);
});
