'use strict';
// SSE as clients see it, mounted in plain http, Express, Fastify and Hono.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { createServer, request: httpRequest } = require('node:http');
const { test } = require('node:test');

const { Bus } = require('./support/testing.js');
const { fetchHandler, sseHandler } = require('../http.js');
const { Gate, isAllowedOrigin } = require('../lib/http/gate.js');

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    server.closeAllConnections?.();
    return new Promise((resolve) => server.close(resolve));
  };
  return { port: server.address().port, close };
}

/** Each mounts `/events` and says where, and how to stop. */
const HOSTS = {
  http: (bus, options) => listen(createServer(sseHandler(bus, options))),
  express: (bus, options) => {
    const app = require('express')();
    app.get('/events', sseHandler(bus, options));
    return listen(createServer(app));
  },
  fastify: async (bus, options) => {
    const app = require('fastify')();
    const handler = sseHandler(bus, options);
    app.get('/events', (request, reply) => {
      reply.hijack();
      handler(request.raw, reply.raw);
    });
    await app.listen({ port: 0, host: '127.0.0.1' });
    const close = () => {
      app.server.closeAllConnections();
      return app.close();
    };
    return { port: app.server.address().port, close };
  },
  hono: async (bus, options) => {
    const { Hono } = require('hono');
    const { createAdaptorServer } = require('@hono/node-server');
    const app = new Hono();
    const handler = fetchHandler(bus, options);
    app.get('/events', (c) => handler(c.req.raw));
    return listen(createAdaptorServer(app));
  },
};

/** Connects, and reads until `isDone` of the text so far; then the client goes away. */
async function read(port, headers, isDone, path = '/events') {
  const req = httpRequest({ port, host: '127.0.0.1', path, headers });
  req.end();
  const [res] = await once(req, 'response');
  let text = '';
  for await (const chunk of res.setEncoding('utf8')) {
    text += chunk;
    if (isDone(text)) break;
  }
  req.destroy();
  return { status: res.statusCode, headers: res.headers, text };
}

async function until(isTrue) {
  for (let at = 0; at < 400 && !isTrue(); at += 1) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(isTrue());
}

for (const [name, mount] of Object.entries(HOSTS)) {
  test(`${name}: live, resumed, resynced, left, ended`, async () => {
    const bus = new Bus();
    const { port, close } = await mount(bus, { linger: 0, heartbeat: 30 });
    try {
      const live = read(port, {}, (text) => text.includes('data: b'));
      await until(() => bus.stats().subscriptions === 1n);
      bus.publish({ kind: 'k', text: 'a' });
      bus.publish({ kind: 'k', text: 'b' });
      const got = await live;
      assert.equal(got.status, 200);
      assert.match(got.headers['content-type'], /^text\/event-stream/);
      const frame = (seq, text) => `id: ${bus.epoch}-${seq}\nevent: k\ndata: ${text}\n\n`;
      assert.equal(got.text, frame(1, 'a') + frame(2, 'b'));
      // A client that went away is off the bus.
      await until(() => bus.stats().subscriptions === 0n);

      // The header beats the query.
      const path = `/events?last_event_id=${bus.epoch}-0`;
      const after = { 'last-event-id': `${bus.epoch}-1` };
      assert.equal((await read(port, after, (text) => text.includes('b'), path)).text, frame(2, 'b'));
      assert.match((await read(port, {}, (text) => text.includes('data: b'), path)).text, /data: a/);
      const resync = await read(port, { 'last-event-id': 'nonsense' }, (text) => text.includes('\n\n'));
      assert.match(resync.text, /event: reqbus\.resync\n/);
      const beat = await read(port, after, (text) => text.split('\n\n').length > 2);
      assert.equal(beat.text, `${frame(2, 'b')}id: ${bus.epoch}-2\n\n`);

      await until(() => bus.stats().subscriptions === 0n);
      const ended = read(port, {}, () => false);
      await until(() => bus.stats().subscriptions > 0n);
      bus.close();
      assert.equal((await ended).text, '');
      assert.equal((await read(port, {}, () => true)).status, 503);
    } finally {
      await close();
    }
  });

  test(`${name}: limits and origins`, async () => {
    const bus = new Bus();
    const { port, close } = await mount(bus, { maxConnections: 1, linger: 0 });
    try {
      const one = read(port, {}, (text) => text.includes('data: a'));
      await until(() => bus.stats().subscriptions === 1n);
      const refused = await read(port, {}, () => false);
      assert.deepEqual([refused.status, refused.text], [503, 'too many connections\n']);
      const foreign = await read(port, { origin: 'https://evil.example' }, () => false);
      assert.equal(foreign.status, 403);
      bus.publish({ kind: 'k', text: 'a' });
      await one;
      await until(() => bus.stats().subscriptions === 0n);
      // The place was given back, and a page of the same host may connect.
      const again = read(port, { origin: 'http://127.0.0.1:9' }, (text) => text.includes('data: b'));
      await until(() => bus.stats().subscriptions === 1n);
      bus.publish({ kind: 'k', text: 'b' });
      assert.equal((await again).status, 200);
    } finally {
      bus.close();
      await close();
    }
  });
}

test('origins: none is allowed unless strict; the host name decides', () => {
  assert.equal(isAllowedOrigin(undefined, 'a.example'), true);
  assert.equal(isAllowedOrigin('', 'a.example', { strictOrigin: true }), false);
  assert.equal(isAllowedOrigin('https://a.example', 'a.example:8080'), true);
  assert.equal(isAllowedOrigin('https://A.example:1', 'a.EXAMPLE'), true);
  assert.equal(isAllowedOrigin('https://[::1]:3', '[::1]:8080'), true);
  assert.equal(isAllowedOrigin('https://a.example.evil', 'a.example'), false);
  assert.equal(isAllowedOrigin('null', 'a.example'), false);
  assert.equal(isAllowedOrigin('https://b.example', 'a.example', { origins: ['https://b.example'] }), true);
  assert.equal(isAllowedOrigin('https://a.example', undefined), false);
});

test('a gate counts by address, gives back once, and forgets who is gone', () => {
  const gate = new Gate({ maxConnections: 3, maxPerAddress: 2 });
  const [one] = [gate.enter('a'), gate.enter('a')];
  assert.equal(gate.enter('a'), null);
  const other = gate.enter('b');
  assert.equal(gate.enter('c'), null);
  one();
  one();
  assert.equal(gate.open, 2);
  other();
  assert.ok(gate.enter('a'));
  assert.throws(() => new Gate({ maxConnections: 0 }), RangeError);
});
