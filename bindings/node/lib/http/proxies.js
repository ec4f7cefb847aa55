'use strict';
// Whose word on a client's address and host is believed.

const { BlockList, isIP } = require('node:net');

/** An address without brackets, zone and, if it is an IPv4 one in IPv6's clothes, those; `null` if it is none. */
function plainAddress(text) {
  const bare = text.trim().replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, '');
  return isIP(bare) === 0 ? null : bare.toLowerCase();
}

/** Adds `address` or `address/bits` to a list. Whether it is one. */
function add(list, entry) {
  const [network, bits, ...more] = entry.trim().split('/');
  const address = plainAddress(network);
  if (address === null || more.length > 0) return false;
  const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
  if (bits === undefined) {
    list.addAddress(address, family);
    return true;
  }
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > (family === 'ipv4' ? 32 : 128)) return false;
  list.addSubnet(address, Number(bits), family);
  return true;
}

/** Reads a list of addresses and networks, separated by commas. Bad entries are told; the good ones hold all the same. */
function parseTrustedProxies(text) {
  const entries = text.split(',').map((entry) => entry.trim()).filter((entry) => entry !== '');
  const isGood = (entry) => add(new BlockList(), entry);
  return { proxies: entries.filter(isGood), bad: entries.filter((entry) => !isGood(entry)) };
}

/** The first of a forwarded list. */
function first(header) {
  return (Array.isArray(header) ? header[0] : (header ?? '')).split(',')[0].trim();
}

/** Those whose forwarded addresses and hosts are believed. */
class Proxies {
  #list = new BlockList();

  constructor(entries) {
    for (const entry of entries) {
      if (!add(this.#list, entry)) throw new RangeError('trustedProxies: an entry is neither an address nor a network');
    }
  }

  #trusts(peer) {
    return peer !== null && this.#list.check(peer, isIP(peer) === 4 ? 'ipv4' : 'ipv6');
  }

  /** The client's address: the leftmost forwarded one, if a trusted proxy says it, else the peer's. */
  addressOf(peer, headers) {
    const plain = plainAddress(peer ?? '');
    const forwarded = this.#trusts(plain) ? plainAddress(first(headers['x-forwarded-for'])) : null;
    return forwarded ?? plain ?? '';
  }

  /** The host that the client asked for: the forwarded one, if a trusted proxy says it. */
  hostOf(peer, headers) {
    const forwarded = this.#trusts(plainAddress(peer ?? '')) ? first(headers['x-forwarded-host']) : '';
    return forwarded || headers.host;
  }
}

module.exports = { Proxies, parseTrustedProxies, plainAddress };
