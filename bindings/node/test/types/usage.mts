// What users write must compile, and what they may not write must not.
import { Admission, Backoff, Bus, Runner, SlotError, SlotPool, Teller, type Item } from 'reqbus';
import { createServer } from 'node:http';
import { Doors, fetchHandler, requests, sseHandler, viewerHandler, wsHandler } from 'reqbus/http';

const bus = new Bus({ logEvents: 10n });
bus.publish({ kind: 'deploy', json: { version: 1 } });
bus.publishRequest('POST', '/v1/messages', 'm', 42n, 'success', 812);
// @ts-expect-error: no such status
bus.publishRequest('POST', '/v1/messages', 'm', 42, 'fine', 812);
// @ts-expect-error: an event has a kind
bus.publish({ text: 'x' });

function seen(item: Item): bigint | string {
  switch (item.type) {
    case 'event':
      return item.format === 'request' ? item.payload.accountId : item.id;
    case 'lost':
      return item.missed;
    case 'resync':
      return item.head;
    case 'status':
      return item.state;
  }
}

export async function read(signal: AbortSignal): Promise<void> {
  using subscription = bus.subscribe({ after: null, overflow: 'catch_up' });
  for await (const item of subscription) seen(item);
  const texts: string[] | null = await subscription.nextTexts('sse', { signal });
  void texts;
}

export async function take(signal: AbortSignal): Promise<void> {
  const pool = new SlotPool();
  try {
    await using slot = await pool.acquire('user', 42, { limit: 5, signal, onPing: () => {} });
    await using both = await pool.acquire([['user', 1, 5], { scope: 'account', id: 7, limit: 'unlimited' }]);
    void [slot.lost, both.keys];
  } catch (error) {
    if (error instanceof SlotError && error.code === 'queue_full') void error.retryAfter;
    // @ts-expect-error: no such outcome
    if (error instanceof SlotError && error.code === 'full') throw error;
  }
  // @ts-expect-error: a limit is a number or 'unlimited'
  await pool.setLimit('user', 1, 'none');
}

export const delay: number = new Backoff({ seed: 7n }).next();

export async function check(signal: AbortSignal): Promise<string[]> {
  const teller = new Teller(bus, { kinds: ['check.finished'] });
  // @ts-expect-error: no such kind
  new Teller(bus, { kinds: ['check.begun'] });
  const runner = new Runner({ due: async () => ['a', ['b', 10], { id: 7n }], check: (id) => id.length > 0, teller }).start();
  const { left } = await runner.stop({ timeout: 1, signal });
  for (const permit of new Admission({ atOnce: 1 }).admit(['a'])) {
    // @ts-expect-error: no such verdict
    permit.finish('ok');
  }
  // @ts-expect-error: a runner checks
  new Runner({ due: () => [] });
  return left.map(({ id }) => id);
}

const doors = new Doors({ origin: 'strict', enabled: () => true });
const handle = requests({
  bus,
  pool: new SlotPool(),
  slots: (req) => [['user', String(req.headers['x-user']), 5]],
  describe: (req, res) => ({ model: 'm', status: res.statusCode < 400 ? 'success' : 'error', extra: { pings: req.reqbus?.pingBytes } }),
});
const [events, viewer, ws] = [sseHandler(bus, { doors, retry: 1 }), viewerHandler(), wsHandler(bus, { doors })];
const server = createServer((req, res) => handle(req, res, () => (req.url === '/events' ? void events(req, res) : viewer(req, res))));
export const undo: () => void = ws.attach(server, '/ws');
export const answer: (request: Request) => Response = fetchHandler(bus);
// @ts-expect-error: no such policy
new Doors({ origin: 'open' });
