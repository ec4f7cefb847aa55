'use strict';
// The items of a batch, out of the flat list that the extension lays (bindings/node/src/items.rs).

const FORMATS = ['json', 'text', 'bytes', 'request'];

/** An event, as one subscription got it. */
class EventItem {
  constructor(id, n, kind, key, timeNs, format, payload) {
    this.type = 'event';
    this.id = id;
    this.n = n;
    this.kind = kind;
    this.key = key;
    this.timeNs = timeNs;
    this.format = format;
    this.payload = payload;
  }

  /** Its number in the order of its bus. */
  get seq() {
    return BigInt(this.id.slice(17));
  }

  /** When it happened. */
  get time() {
    return new Date(Number(this.timeNs / 1000000n));
  }

  /** The payload: of `json` the value, else as it is. */
  get data() {
    return this.format === 'json' ? JSON.parse(this.payload) : this.payload;
  }
}

/** The items of a flat list, and the settled id of their batch. */
function itemsOf(flat) {
  const items = [];
  let at = 1;
  while (at < flat.length) {
    const tag = flat[at];
    if (tag < 4) {
      const [id, n, kind, key, timeNs] = [flat[at + 1], flat[at + 2], flat[at + 3], flat[at + 4], flat[at + 5]];
      let payload = flat[at + 6];
      at += 7;
      if (tag === 3) {
        payload = {
          method: payload,
          path: flat[at],
          model: flat[at + 1],
          accountId: flat[at + 2],
          status: flat[at + 3],
          latencyMs: flat[at + 4],
          extra: flat[at + 5],
        };
        at += 6;
      }
      items.push(new EventItem(id, n, kind, key, timeNs, FORMATS[tag], payload));
    } else if (tag === 4) {
      items.push({ type: 'lost', missed: flat[at + 1], reason: flat[at + 2], nextN: flat[at + 3] });
      at += 4;
    } else if (tag === 5) {
      items.push({ type: 'resync', reason: flat[at + 1], head: flat[at + 2] });
      at += 3;
    } else {
      items.push({ type: 'status', source: flat[at + 1], state: flat[at + 2], detail: flat[at + 3] });
      at += 4;
    }
  }
  return { items, settled: flat[0] };
}

module.exports = { EventItem, itemsOf };
