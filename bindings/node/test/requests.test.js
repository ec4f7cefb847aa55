'use strict';
// The middleware, in plain http, Express and Fastify: one event on every way out, slots, pings.

const assert = require('node:assert/strict');
const { request: httpRequest } = require('node:http');
const { test } = require('node:test');

const { Bus, SlotPool } = require('./support/testing.js');
const { createServer, listen, listenFastify, read, until } = require('./support/hosts.js');
const { requests } = require('../http.js');

const STREAM = { 'content-type': 'text/event-stream' };

/** Each serves the same few paths behind the middleware. */
const HOSTS = {
  http: (handle) => {
    const serve = (req, res) => {
      if (req.url === '/limited') return res.writeHead(429).end();
      if (req.url === '/fail') return res.writeHead(500).end();
      if (req.url === '/stream') {
        res.writeHead(200, STREAM).write('data: 1\n\n');
        return res.end('data: 2\n\n');
      }
      if (req.url.startsWith('/hang')) return res.writeHead(200, STREAM).write('data: 1\n\n');
      if (req.url !== '/echo') return res.writeHead(404).end();
      return req.pipe(res.writeHead(200, { 'content-type': 'text/plain' }));
    };
    return listen(createServer((req, res) => handle(req, res, () => serve(req, res))));
  },
  express: (handle) => {
    const express = require('express');
    const app = express();
    app.use(handle);
    app.post('/echo', express.text({ type: () => true }), (req, res) => res.type('text/plain').send(req.body));
    app.get('/limited', (req, res) => res.sendStatus(429));
    app.get('/fail', (req, res) => res.status(500).send('no'));
    app.get('/stream', (req, res) => {
      res.type('text/event-stream').write('data: 1\n\n');
      res.end('data: 2\n\n');
    });
    app.get('/hang', (req, res) => res.type('text/event-stream').write('data: 1\n\n'));
    return listen(createServer(app));
  },
  fastify: (handle) => {
    const app = require('fastify')();
    app.addHook('onRequest', (request, reply, done) => {
      handle(request.raw, reply.raw, done);
    });
    app.post('/echo', async (request) => request.body);
    app.get('/limited', (request, reply) => reply.code(429).send());
    app.get('/fail', async () => {
      throw new Error('no');
    });
    app.get('/stream', (request, reply) => reply.type('text/event-stream').send('data: 1\n\ndata: 2\n\n'));
    app.get('/hang', (request, reply) => {
      reply.hijack();
      reply.raw.writeHead(200, STREAM).write('data: 1\n\n');
    });
    return listenFastify(app);
  },
};

const EVENTS = { accept: 'text/event-stream' };
const POST = { method: 'POST', path: '/echo', headers: { 'content-type': 'text/plain' }, body: 'hello' };
const user = () => [['user', 1, 1]];

/** The request events that are there. */
function events(sub) {
  return sub.tryBatch().map(({ payload }) => payload);
}

async function waiting(pool, count) {
  await until(async () => (await pool.load([['user', 1]]))[0].waiting === count);
}

async function isFree(pool) {
  const [{ inUse, waiting: left }] = await pool.load([['user', 1]]);
  return inUse === 0 && left === 0;
}

for (const [name, mount] of Object.entries(HOSTS)) {
  test(`${name}: one event on every way out, and the slot is given back`, async () => {
    const [bus, pool] = [new Bus(), new SlotPool()];
    const sub = bus.subscribe();
    const describe = () => ({ model: 'm', accountId: 7, key: 'u' });
    const { port, close } = await mount(requests({ bus, pool, slots: user, describe }));
    try {
      assert.equal((await read(port, POST)).text, 'hello');
      const ways = [['/limited', 429], ['/nothing?token=secret', 404], ['/fail', 500], ['/stream', 200]];
      for (const [path, status] of ways) assert.equal((await read(port, { path })).status, status);
      const left = httpRequest({ port, host: '127.0.0.1', path: '/hang', agent: false }).end();
      left.on('response', () => left.destroy());
      left.on('error', () => {});
      await until(() => sub.stats().pending === 6n);
      assert.ok(await isFree(pool));
      const got = events(sub);
      assert.deepEqual(got.map(({ method, path, status }) => [method, path, status]), [
        ['POST', '/echo', 'success'],
        ['GET', '/limited', 'rate_limited'],
        ['GET', '/nothing', 'error'],
        ['GET', '/fail', 'error'],
        ['GET', '/stream', 'success'],
        ['GET', '/hang', 'error'],
      ]);
      assert.ok(got.every(({ model, accountId, latencyMs }) => model === 'm' && accountId === 7n && latencyMs >= 0n));
    } finally {
      await close();
    }
  });

  test(`${name}: who waits for a stream is pinged, and then served; who does not is not`, async () => {
    const [bus, pool] = [new Bus(), new SlotPool()];
    const sub = bus.subscribe();
    const states = [];
    const describe = (req) => void states.push(req.reqbus);
    const { port, close } = await mount(requests({ bus, pool, slots: user, pingEvery: 10, describe }));
    try {
      const held = await pool.acquire('user', 1, { limit: 1 });
      let pings = 0;
      const isDone = (text) => {
        pings = text.split(': ping\n\n').length - 1;
        return false;
      };
      const streams = read(port, { path: '/stream', headers: EVENTS, isDone });
      await waiting(pool, 1);
      const posts = read(port, POST);
      await waiting(pool, 2);
      await until(() => pings >= 3);
      held.release();
      const { status, headers, text } = await streams;
      assert.deepEqual([status, headers['content-type']], [200, 'text/event-stream; charset=utf-8']);
      assert.equal(text, `${': ping\n\n'.repeat(pings)}data: 1\n\ndata: 2\n\n`);
      // The body that came while it waited is there.
      assert.deepEqual([(await posts).text, (await posts).headers['content-type'].slice(0, 10)], ['hello', 'text/plain']);
      await until(() => states.length === 2);
      assert.deepEqual(events(sub).map((event) => event.status), ['success', 'success']);
      assert.deepEqual(states.map(({ streamStarted, pingBytes }) => [streamStarted, pingBytes]), [[true, 8 * pings], [false, 0]]);
      assert.ok(await isFree(pool));
    } finally {
      await close();
    }
  });

  test(`${name}: refusals are answers, also in a stream that pings began`, async () => {
    const [bus, pool] = [new Bus(), new SlotPool()];
    const sub = bus.subscribe();
    const { port, close } = await mount(requests({ bus, pool, slots: user, pingEvery: 10, timeout: 60, maxWaiting: 1 }));
    try {
      const held = await pool.acquire('user', 1, { limit: 1 });
      const streams = read(port, { path: '/stream', headers: EVENTS });
      await waiting(pool, 1);
      const full = await read(port, POST);
      assert.deepEqual([full.status, full.headers['content-type']], [429, 'application/json']);
      assert.deepEqual(JSON.parse(full.text), {
        type: 'error',
        error: { type: 'rate_limit_error', code: 'slot_queue_full', scope: 'user', retry_after: null },
      });
      const { status, text } = await streams;
      assert.equal(status, 200);
      assert.match(text, /^(: ping\n\n)+event: error\ndata: {"type":"error".*slot_timed_out.*}\n\n$/);
      await pool.closeKey('user', 1);
      assert.equal((await read(port, POST)).status, 503);
      held.release();
      await until(() => sub.stats().pending === 3n);
      assert.deepEqual(events(sub).map((event) => event.status), ['rate_limited', 'rate_limited', 'error']);
    } finally {
      await close();
    }
  });

  test(`${name}: a client that leaves while it waits gives up its place`, async () => {
    const [bus, pool] = [new Bus(), new SlotPool()];
    const sub = bus.subscribe();
    const { port, close } = await mount(requests({ bus, pool, slots: user }));
    try {
      const held = await pool.acquire('user', 1, { limit: 1 });
      const left = httpRequest({ port, host: '127.0.0.1', path: '/stream', headers: EVENTS, agent: false }).end();
      left.on('error', () => {});
      await waiting(pool, 1);
      left.destroy();
      await waiting(pool, 0);
      held.release();
      await until(() => sub.stats().pending === 1n);
      assert.deepEqual([events(sub)[0].status, await isFree(pool)], ['error', true]);
    } finally {
      await close();
    }
  });
}

test('a retry-after is told once it can be', async () => {
  const pool = new SlotPool();
  for (let at = 0; at < 8; at += 1) (await pool.acquire('user', 1, { limit: 1 })).release();
  const { port, close } = await HOSTS.http(requests({ pool, slots: user, timeout: 0 }));
  const held = await pool.acquire('user', 1, { limit: 1 });
  const { status, headers, text } = await read(port, POST);
  assert.deepEqual([status, headers['retry-after'], JSON.parse(text).error.retry_after], [429, '1', 1]);
  held.release();
  await close();
});

test('what the host says wrongly is its own: slots go to the error handler, events to onError', async () => {
  const [bus, pool] = [new Bus(), new SlotPool()];
  const failed = [];
  const onError = (error) => failed.push(error.code);
  const describe = () => ({ accountId: NaN });
  const slots = (req) => (req.url === '/bad' ? [['', 1, 1]] : null);
  const handle = requests({ bus, pool, slots, describe, onError });
  const serve = (req, res) => (error) => res.writeHead(error ? 500 : 200).end(error?.code);
  const { port, close } = await listen(createServer((req, res) => handle(req, res, serve(req, res))));
  assert.deepEqual([(await read(port, { path: '/bad' })).text, (await read(port, { path: '/good' })).status], ['invalid', 200]);
  await until(() => failed.length === 2);
  assert.deepEqual(failed, ['invalid_argument', 'invalid_argument']);
  await close();
});

test('a host may answer refusals itself, and write pings of its own', async () => {
  const pool = new SlotPool();
  const onRefused = (error, req, res) => res.end(`data: ${error.code}\n\n`);
  const ping = 'data: {"type": "ping"}\n\n';
  const { port, close } = await HOSTS.http(requests({ pool, slots: user, timeout: 25, pingEvery: 10, onRefused, ping }));
  const held = await pool.acquire('user', 1, { limit: 1 });
  const { text } = await read(port, { path: '/stream', headers: EVENTS });
  assert.match(text, /^(data: {"type": "ping"}\n\n)+data: timed_out\n\n$/);
  held.release();
  await close();
});
