'use strict';
// SSE as clients see it, mounted in plain http, Express, Fastify and Hono; and the page that shows it.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { Bus } = require('./support/testing.js');
const { createServer, listen, listenFastify, read, until } = require('./support/hosts.js');
const { waiters } = require('../lib/loop.js');
const { Doors, fetchHandler, fetchViewer, sseHandler, viewerHandler } = require('../http.js');

/** Each mounts `/events` and `/viewer`, and says where, and how to stop. */
const HOSTS = {
  http: (bus, options) => {
    const [events, viewer] = [sseHandler(bus, options), viewerHandler()];
    return listen(createServer((req, res) => (req.url === '/viewer' ? viewer : events)(req, res)));
  },
  express: (bus, options) => {
    const app = require('express')();
    app.all('/events', sseHandler(bus, options));
    app.get('/viewer', viewerHandler());
    return listen(createServer(app));
  },
  fastify: async (bus, options) => {
    const app = require('fastify')();
    const mount = (path, handler) =>
      app.all(path, (request, reply) => {
        reply.hijack();
        handler(request.raw, reply.raw);
      });
    mount('/events', sseHandler(bus, options));
    mount('/viewer', viewerHandler());
    return listenFastify(app);
  },
  hono: async (bus, options) => {
    const { Hono } = require('hono');
    const { createAdaptorServer } = require('@hono/node-server');
    const app = new Hono();
    const [events, viewer] = [fetchHandler(bus, options), fetchViewer()];
    app.all('/events', (c) => events(c.req.raw));
    app.get('/viewer', () => viewer());
    return listen(createAdaptorServer(app));
  },
};

const has = (what) => ({ isDone: (text) => text.includes(what) });

for (const [name, mount] of Object.entries(HOSTS)) {
  test(`${name}: live, resumed, resynced, left, ended`, async () => {
    const bus = new Bus();
    const { port, close } = await mount(bus, { linger: 0, heartbeat: 30, retry: 1234 });
    try {
      const live = read(port, has('data: b'));
      await until(() => bus.stats().subscriptions === 1n);
      bus.publish({ kind: 'k', text: 'a' });
      bus.publish({ kind: 'k', text: 'b' });
      const got = await live;
      assert.equal(got.status, 200);
      assert.match(got.headers['content-type'], /^text\/event-stream/);
      assert.match(got.headers['cache-control'], /no-cache/);
      const begin = (seq) => `retry: 1234\n\nid: ${bus.epoch}-${seq}\n\n`;
      const frame = (seq, text) => `id: ${bus.epoch}-${seq}\nevent: k\ndata: ${text}\n\n`;
      assert.equal(got.text, begin(0) + frame(1, 'a') + frame(2, 'b'));
      // A client that went away is off the bus.
      await until(() => bus.stats().subscriptions === 0n);

      // The header beats the query.
      const path = `/events?last_event_id=${bus.epoch}-0`;
      const headers = { 'last-event-id': `${bus.epoch}-1` };
      assert.equal((await read(port, { ...has('data: b'), path, headers })).text, begin(1) + frame(2, 'b'));
      assert.match((await read(port, { ...has('data: b'), path })).text, /data: a/);
      const resync = await read(port, { ...has('reqbus.resync'), headers: { 'last-event-id': 'nonsense' } });
      assert.match(resync.text, /event: reqbus\.resync\n/);
      // B9: after a silence, the id up to which it has everything.
      const isBeaten = (text) => text.endsWith(`data: b\n\nid: ${bus.epoch}-2\n\n`);
      const beat = await read(port, { isDone: isBeaten, headers });
      assert.equal(beat.text, `${begin(1)}${frame(2, 'b')}id: ${bus.epoch}-2\n\n`);

      await until(() => bus.stats().subscriptions === 0n);
      const ended = read(port);
      await until(() => bus.stats().subscriptions > 0n);
      bus.close();
      assert.match((await ended).text, /^retry: 1234\n\n/);
      assert.equal((await read(port)).status, 503);
    } finally {
      await close();
    }
  });

  test(`${name}: limits, origins, methods, switched off`, async () => {
    const bus = new Bus();
    let enabled = true;
    const doors = new Doors({ maxConnections: 1, enabled: () => enabled });
    const { port, close } = await mount(bus, { doors, linger: 0 });
    try {
      const one = read(port, has('data: a'));
      await until(() => bus.stats().subscriptions === 1n);
      assert.equal(doors.connections, 1);
      const refused = await read(port);
      assert.deepEqual([refused.status, refused.text], [503, 'too many connections\n']);
      const foreign = await read(port, { headers: { origin: 'https://evil.example' } });
      assert.equal(foreign.status, 403);
      bus.publish({ kind: 'k', text: 'a' });
      await one;
      await until(() => doors.connections === 0);
      // The place was given back, and a page of the same host may connect.
      const again = read(port, { ...has('data: b'), headers: { origin: 'http://127.0.0.1:9' } });
      await until(() => bus.stats().subscriptions === 1n);
      bus.publish({ kind: 'k', text: 'b' });
      assert.equal((await again).status, 200);
      await until(() => doors.connections === 0);

      const head = await read(port, { method: 'HEAD' });
      assert.deepEqual([head.status, head.text], [200, '']);
      assert.match(head.headers['content-type'], /^text\/event-stream/);
      assert.equal((await read(port, { method: 'POST' })).status, 405);
      enabled = false;
      assert.equal((await read(port)).status, 204);
      assert.deepEqual([doors.connections, bus.stats().subscriptions], [0, 0n]);
    } finally {
      bus.close();
      await close();
    }
  });

  test(`${name}: the viewer`, async () => {
    const bus = new Bus();
    const { port, close } = await mount(bus);
    try {
      const { status, headers, text } = await read(port, { path: '/viewer' });
      assert.equal(status, 200);
      assert.match(headers['content-type'], /^text\/html/);
      assert.match(headers['content-security-policy'], /default-src 'none'/);
      assert.match(text, /EventSource\('events'\)/);
    } finally {
      await close();
    }
  });
}

test('b9: a quiet stream is sent the id up to which it has everything, also if all of it was for others', async () => {
  const bus = new Bus();
  const { port, close } = await listen(createServer(sseHandler(bus, { heartbeat: 20, linger: 0, kinds: ['other'] })));
  const reads = read(port, { isDone: (text) => text.endsWith(`id: ${bus.epoch}-1\n\n`) });
  await until(() => bus.stats().subscriptions === 1n);
  bus.publish({ kind: 'k' });
  await reads;
  await close();
});

test('a burst is one write', async () => {
  const bus = new Bus();
  let writes = 0;
  const sse = sseHandler(bus, { linger: 20 });
  const handler = (req, res) => {
    const { write } = res;
    res.write = function counted(...args) {
      writes += 1;
      return write.apply(this, args);
    };
    return sse(req, res);
  };
  const { port, close } = await listen(createServer(handler));
  const reads = read(port, has('data: 99'));
  await until(() => bus.stats().subscriptions === 1n && writes === 1);
  for (let at = 0; at < 100; at += 1) bus.publish({ kind: 'k', text: `${at}` });
  await reads;
  assert.equal(writes, 2);
  await close();
});

test('a client that stops for a while gets all of it when it goes on', async () => {
  const bus = new Bus({ logBytes: 1 << 26 });
  const { port, close } = await listen(createServer(sseHandler(bus, { linger: 0 })));
  const socket = require('node:net').connect(port, '127.0.0.1');
  socket.pause();
  socket.write('GET /events HTTP/1.1\r\nhost: x\r\n\r\n');
  await until(() => bus.stats().subscriptions === 1n);
  const text = 'x'.repeat(1 << 19);
  for (let at = 0; at < 40; at += 1) bus.publish({ kind: 'k', text });
  // It has taken what the sockets hold; the rest is in the log.
  await until(() => bus.stats().totals.delivered > 0n);
  assert.ok(bus.stats().totals.pending > 0n);
  let got = 0;
  socket.on('data', (bytes) => (got += bytes.length)).resume();
  await until(() => got > 40 << 19);
  assert.equal(bus.stats().totals.delivered, 40n);
  socket.destroy();
  await until(() => bus.stats().subscriptions === 0n);
  assert.equal(waiters(), 0);
  await close();
});

test('a client that takes nothing is let go', async () => {
  const bus = new Bus({ logEvents: 100000, logBytes: 1 << 28 });
  const { port, close } = await listen(createServer(sseHandler(bus, { linger: 0, writeTimeout: 50 })));
  const socket = require('node:net').connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.pause();
  socket.write('GET /events HTTP/1.1\r\nhost: x\r\n\r\n');
  await until(() => bus.stats().subscriptions === 1n);
  const text = 'x'.repeat(1 << 19);
  const events = Array.from({ length: 40 }, () => ({ kind: 'k', text }));
  bus.publishMany(events);
  await until(() => bus.stats().subscriptions === 0n);
  socket.destroy();
  await close();
});
