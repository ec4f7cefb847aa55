'use strict';
// Who may connect (TestOrigin..., TestTrustedProxies... of the system that this replaces).

const assert = require('node:assert/strict');
const { test } = require('node:test');

require('./support/testing.js');
const { Doors, parseOriginPolicy, parseTrustedProxies } = require('../http.js');

/** A request from a peer. */
const from = (remoteAddress, headers = {}) => ({ socket: { remoteAddress }, headers });

test('origins: none is allowed unless strict; the host name decides', () => {
  const doors = new Doors();
  const strict = new Doors({ origin: 'strict' });
  assert.equal(doors.isAllowedOrigin(undefined, 'a.example'), true);
  assert.equal(strict.isAllowedOrigin('', 'a.example'), false);
  assert.equal(strict.isAllowedOrigin('https://a.example', 'a.example'), true);
  assert.equal(doors.isAllowedOrigin('https://a.example', 'a.example:8080'), true);
  assert.equal(doors.isAllowedOrigin('https://A.example:1', 'a.EXAMPLE'), true);
  assert.equal(doors.isAllowedOrigin('https://[::1]:3', '[::1]:8080'), true);
  assert.equal(doors.isAllowedOrigin('https://a.example.evil', 'a.example'), false);
  assert.equal(doors.isAllowedOrigin('null', 'a.example'), false);
  assert.equal(doors.isAllowedOrigin('http://[', 'a.example'), false);
  assert.equal(doors.isAllowedOrigin('https://a.example', undefined), false);
  assert.equal(new Doors({ origins: ['https://b.example'] }).isAllowedOrigin('https://b.example', 'a.example'), true);
  assert.equal(new Doors({ origin: 'any' }).isAllowedOrigin('https://evil.example', 'a.example'), true);
});

test('a forwarded host is believed from a trusted proxy only', () => {
  const headers = { origin: 'https://a.example', host: 'inside', 'x-forwarded-host': 'a.example, b.example' };
  assert.equal(new Doors().isAllowed(from('127.0.0.1', headers)), true);
  assert.equal(new Doors().isAllowed(from('192.0.2.1', headers)), false);
  assert.equal(new Doors({ trustedProxies: [] }).isAllowed(from('127.0.0.1', headers)), false);
  assert.equal(new Doors({ trustedProxies: ['192.0.2.0/24'] }).isAllowed(from('192.0.2.1', headers)), true);
});

test('an address: the leftmost forwarded one behind a trusted proxy, else the peer', () => {
  const doors = new Doors();
  for (const [peer, forwarded, address] of [
    ['127.0.0.1', '2001:db8::1, 10.0.0.1', '2001:db8::1'],
    ['::1', '[2001:DB8::2]', '2001:db8::2'],
    ['::ffff:127.0.0.1', '198.51.100.7', '198.51.100.7'],
    ['127.0.0.1', 'nonsense', '127.0.0.1'],
    ['127.0.0.1', undefined, '127.0.0.1'],
    ['192.0.2.1', '198.51.100.7', '192.0.2.1'],
    ['::ffff:192.0.2.1', undefined, '192.0.2.1'],
    ['fe80::1%eth0', undefined, 'fe80::1'],
    [undefined, '198.51.100.7', ''],
  ]) {
    assert.equal(doors.addressOf(from(peer, { 'x-forwarded-for': forwarded })), address, `${peer} ${forwarded}`);
  }
});

test('trusted proxies: a bad entry is told, the good ones are kept', () => {
  const text = ' 10.0.0.0/8, ::1 ,, nonsense, 10.0.0.0/33, fe80::/10, 1.2.3.4/x, 1.2.3.4/8/8';
  assert.deepEqual(parseTrustedProxies(text), {
    proxies: ['10.0.0.0/8', '::1', 'fe80::/10'],
    bad: ['nonsense', '10.0.0.0/33', '1.2.3.4/x', '1.2.3.4/8/8'],
  });
  assert.throws(() => new Doors({ trustedProxies: ['nonsense'] }), RangeError);
});

test('an origin policy is read in any case; what is none is the default', () => {
  const read = ['STRICT', ' Permissive ', 'any', 'stirct', '', undefined].map(parseOriginPolicy);
  assert.deepEqual(read, ['strict', 'permissive', 'any', 'permissive', 'permissive', 'permissive']);
});

test('doors count by address, give back once, and forget who is gone', () => {
  const doors = new Doors({ maxConnections: 3, maxPerAddress: 2 });
  const [one] = [doors.enter('a'), doors.enter('a')];
  assert.equal(doors.enter('a'), null);
  const other = doors.enter('b');
  assert.equal(doors.enter('c'), null);
  one();
  one();
  assert.equal(doors.connections, 2);
  other();
  assert.ok(doors.enter('a'));
  for (const options of [{ maxConnections: 0 }, { maxPerAddress: -1 }, { origin: 'open' }]) {
    assert.throws(() => new Doors(options), RangeError);
  }
  const open = new Doors({ maxPerAddress: 0 });
  for (let at = 0; at < 100; at += 1) assert.ok(open.enter('a'));
  assert.equal(open.enter('b'), null);
});
