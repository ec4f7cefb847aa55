/// <reference types="node" />

/** A whole number: a number up to 2^53, or a BigInt. */
export type Whole = number | bigint;

/** What went wrong, for programs; the same words in every language. */
export type ErrorCode =
  | 'invalid_argument'
  | 'invalid_utf8'
  | 'invalid_json'
  | 'too_large'
  | 'reserved_kind'
  | 'too_many_sources'
  | 'closed'
  | 'timeout'
  | 'interrupted'
  | 'busy'
  | 'audience_busy'
  | 'store_unavailable'
  | 'forked'
  | 'system';

/** How an acquire ends without a slot. */
export type Outcome =
  | 'busy'
  | 'queue_full'
  | 'timed_out'
  | 'cancelled'
  | 'closed'
  | 'store_unavailable'
  | 'invalid';

/** What reqbus throws. */
export class ReqbusError extends Error {
  /** What went wrong. */
  readonly code: ErrorCode | Outcome;
  /** The field or the operation that it is about. */
  readonly context: string;
  constructor(code: ErrorCode | Outcome, context: string, message: string, options?: ErrorOptions);
}

/** A limit: a whole number from 0, where 0 refuses newcomers, or no limit. */
export type Limit = number | 'unlimited';

/** Why there is no slot, and how the key that refused stood at that moment. */
export class SlotError extends ReqbusError {
  private constructor();
  readonly code: Outcome;
  /** The scope that refused; of several the first. */
  readonly scope: string;
  readonly limit: Limit | null;
  readonly inUse: number;
  /** Waiters of that key, this one not included. */
  readonly waiting: number;
  /** Where the caller stood in the queue, from 1; 0 if it did not stand there. */
  readonly position: number;
  /** How long the caller waited, in milliseconds. */
  readonly waited: number;
  /** Pings that the host was asked to write, and came back from. */
  readonly pings: number;
  /** When to try again, in seconds; `null` until that can be told. */
  readonly retryAfter: number | null;
}

/** How a bus is made. */
export interface BusOptions {
  /** Most events that the log keeps. Default 2,000. */
  logEvents?: Whole;
  /** Most bytes that the log keeps. Default 8 MiB. */
  logBytes?: Whole;
  /** Oldest event that a *resume* may still get, in milliseconds. Default 30,000. */
  resumeAgeMs?: number;
  /** Whether readers may resume by id. Default `true`. */
  resume?: boolean;
}

/** What an event carries; said at most once, else it is an empty text. */
export interface NewEvent {
  /** What happened, 1 to 255 bytes; `reqbus.` is reserved. */
  kind: string;
  /** What filters look at, 0 to 255 bytes. */
  key?: string;
  /** A value, written by `JSON.stringify`. */
  json?: unknown;
  /** The text of a JSON value. */
  jsonText?: string;
  text?: string;
  bytes?: Uint8Array;
  /** When it happened, in nanoseconds since 1970; now by default. */
  timeNs?: Whole;
}

/** How a request ended. */
export type RequestStatus = 'success' | 'error' | 'rate_limited';

/** What may be said of a request beside the seven. */
export interface RequestMore {
  key?: string;
  /** An object, or its JSON, whose fields follow the seven. */
  extra?: object | string;
  timeNs?: Whole;
}

/** A finished request. */
export interface RequestEvent extends RequestMore {
  method: string;
  path: string;
  model: string;
  accountId: Whole;
  status: RequestStatus;
  latencyMs: Whole;
}

/** A request as readers get it. */
export interface RequestRecord {
  readonly method: string;
  readonly path: string;
  readonly model: string;
  readonly accountId: bigint;
  readonly status: RequestStatus;
  readonly latencyMs: bigint;
  /** The text of a JSON object. */
  readonly extra: string | null;
}

interface EventBase<Format extends string, Payload, Data = Payload> {
  readonly type: 'event';
  /** The token by which a reader resumes. */
  readonly id: string;
  /** Its number in the order of its bus. */
  readonly seq: bigint;
  /** The subscription's own number of it, from 1: a hole is loss. */
  readonly n: bigint;
  readonly kind: string;
  readonly key: string;
  /** When it happened, in nanoseconds since 1970. */
  readonly timeNs: bigint;
  readonly time: Date;
  readonly format: Format;
  readonly payload: Payload;
  /** The payload: of `json` the value, parsed anew at each look. */
  readonly data: Data;
}

/** An event, as one subscription got it. */
export type EventItem =
  | EventBase<'json', string, any>
  | EventBase<'text', string>
  | EventBase<'bytes', Uint8Array>
  | EventBase<'request', RequestRecord>;

/** Events were lost here. Never an error, never the end. */
export interface LostItem {
  readonly type: 'lost';
  readonly missed: bigint;
  readonly reason: 'full' | 'window' | 'evicted';
  /** The number that the next matching event has. */
  readonly nextN: bigint;
}

/** The resume was not possible; reading goes on live, after `head`. */
export interface ResyncItem {
  readonly type: 'resync';
  readonly reason: 'malformed' | 'epoch' | 'ahead' | 'expired';
  readonly head: string;
}

/** The latest state of a status source. */
export interface StatusItem {
  readonly type: 'status';
  readonly source: string;
  readonly state: string;
  readonly detail: string;
}

export type Item = EventItem | LostItem | ResyncItem | StatusItem;

/** What happens when a reader is slow. */
export type Overflow = 'drop_newest' | 'drop_oldest' | 'catch_up';

/** How a text of an item is written. */
export type Form = 'json' | 'envelope' | 'ndjson' | 'sse';

/** How a subscription is made. */
export interface SubscribeOptions {
  /** Keys that match; left out, all. */
  keys?: string[];
  /** Kinds that match; left out, all. */
  kinds?: string[];
  /** Where to begin. Default `live`. */
  start?: 'live' | 'oldest';
  /** The id to resume after, as it came from outside. `null` and `undefined` are none; an empty text is a malformed id. */
  after?: string | null;
  /** Default `drop_newest`. */
  overflow?: Overflow;
  /** Events of the queue (64) or of the window (256). */
  capacity?: Whole;
  /** Bytes of the queue (1 MiB). */
  capacityBytes?: Whole;
  label?: string;
  pid?: Whole;
  /** A name that subscriptions share when something must be set up for the first and torn down after the last. */
  audience?: string;
  /** How long a burst may gather after its first event, in milliseconds. Default 0. */
  linger?: number;
}

/** How much one read may take. */
export interface Limits {
  /** Default 256. */
  maxItems?: Whole;
  /** Default 1 MiB. */
  maxBytes?: Whole;
}

export interface ReadOptions extends Limits {
  /** Ends the wait with the signal's reason; nothing was taken. */
  signal?: AbortSignal;
}

/** One subscription's account. */
export interface SubscriptionStats {
  readonly matched: bigint;
  readonly delivered: bigint;
  readonly lostFull: bigint;
  readonly lostWindow: bigint;
  readonly lostEvicted: bigint;
  readonly pending: bigint;
  readonly abandoned: bigint;
  readonly resyncs: bigint;
}

/** A reader's place on a bus. It keeps no process alive. */
export class Subscription implements AsyncIterable<Item>, Disposable, AsyncDisposable {
  private constructor();
  readonly id: number;
  /** Whether it was the first of its audience when it joined. */
  readonly isFirst: boolean;
  readonly closed: boolean;
  /** The newest id up to which every event was handed out, filtered out, or reported lost. */
  readonly settled: string;
  /** What is there: an empty list for nothing now, `null` at the end. */
  tryBatch(limits?: Limits): Item[] | null;
  /** As `tryBatch`, each item as a text ready to write. */
  tryTexts(form: Form, limits?: Limits): string[] | null;
  /** As `tryTexts`, all behind each other. */
  tryBytes(form: Form, limits?: Limits): Uint8Array | null;
  /** Waits until there is something; `null` at the end. One wait at a time. */
  nextBatch(options?: ReadOptions): Promise<Item[] | null>;
  nextTexts(form: Form, options?: ReadOptions): Promise<string[] | null>;
  nextBytes(form: Form, options?: ReadOptions): Promise<Uint8Array | null>;
  /** The items one by one until the end. Who stops midway leaves the rest to the next read. */
  items(options?: { signal?: AbortSignal }): AsyncGenerator<Item, void, undefined>;
  [Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined>;
  /** What a quiet connection is sent now and then: in SSE a block of `id:` only, the settled one. */
  heartbeat(form: Form): string;
  stats(): SubscriptionStats;
  /** The cleanup guard of its audience, if it is the sole member. */
  cleanupGuard(): CleanupGuard | null;
  /** Fixes its end at the newest event; it may be read up to there. Idempotent. Whether it was its audience's last. */
  close(): boolean | null;
  /** Takes it off the bus; what was not read is abandoned. Idempotent. */
  free(): void;
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Keeps newcomers out of an audience while what its members shared is torn down; for 30 s at most. */
export class CleanupGuard implements Disposable, AsyncDisposable {
  private constructor();
  /** Whether it is over its limit, or was ended. */
  readonly expired: boolean;
  /** Admits newcomers. Whether it was in force until now. */
  release(): boolean;
  /** Nothing was torn down: gives the membership back. Whether that lives again. */
  abort(): boolean;
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface BusStats {
  readonly keptEvents: bigint;
  readonly keptBytes: bigint;
  readonly subscriptions: bigint;
  readonly extraClashes: bigint;
  /** Sums over all subscriptions there ever were. */
  readonly totals: SubscriptionStats;
}

/** One subscription, as a listing shows it. */
export interface Consumer {
  readonly id: bigint;
  readonly label: string;
  readonly pid: number;
  readonly keys: string[];
  readonly kinds: string[];
  readonly overflow: Overflow;
  readonly audience?: string;
  readonly ageMs: number;
  readonly closed: boolean;
  readonly stats: SubscriptionStats;
}

/**
 * An event bus: a slow reader never slows a publisher down, and always learns exactly what it missed.
 *
 * ```js
 * const bus = new Bus();
 * bus.publishRequest('POST', '/v1/messages', model, 42, 'success', 812);
 * for await (const item of bus.subscribe({ after: lastEventId })) { … }
 * ```
 */
export class Bus implements Disposable, AsyncDisposable {
  constructor(options?: BusOptions);
  /** Publishes one event. `false`, without effect, if the bus is closed. */
  publish(event: NewEvent): boolean;
  /** Publishes many in their order, all or none. */
  publishMany(events: Iterable<NewEvent>): boolean;
  /** Publishes the event of a finished request. Positional, because an object costs more than the publish. */
  publishRequest(
    method: string,
    path: string,
    model: string,
    accountId: Whole,
    status: RequestStatus,
    latencyMs: Whole,
    more?: RequestMore,
  ): boolean;
  publishRequest(request: RequestEvent): boolean;
  /** Subscribes at once; `audience_busy` while its audience is being cleaned up. */
  subscribe(options?: SubscribeOptions): Subscription;
  /** Subscribes, and waits for an audience that is being cleaned up, for `audienceWait` ms (5,000). */
  join(options?: SubscribeOptions & { audienceWait?: number; signal?: AbortSignal }): Promise<Subscription>;
  /** Sets the latest state of a source; `gone` removes it. */
  setStatus(source: string, state: string, detail?: string): void;
  /** Whether anybody could get an event of this kind: to skip making one. */
  wanted(kind: string): boolean;
  audienceCount(name: string): number;
  /** The id of the newest event. */
  readonly newest: string;
  readonly epoch: string;
  readonly closed: boolean;
  stats(): BusStats;
  consumers(): Consumer[];
  /** Readers read up to the newest event, then get the end. Idempotent. */
  close(): void;
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What is limited. An id that is a number is its decimal text. */
export interface Key {
  scope: string;
  id: string | Whole;
}

/** A key of a call, and its limit, if the call names one. */
export type Ask = (Key & { limit?: Limit }) | [scope: string, id: string | Whole, limit?: Limit];

export interface TryOptions {
  /** What the holder is called in lists. */
  label?: string;
}

/** How a wait goes. Times are milliseconds. */
export interface WaitOptions extends TryOptions {
  /** How long to wait at most; 0 is one try. Default 30,000. */
  timeout?: number;
  /** How many may wait before it. Default 20. */
  maxWaiting?: Whole;
  /** After how long a ping is due; `null` never. Default 15,000. */
  pingEvery?: number | null;
  /** Takes the keys on top of what this slot holds. */
  onTopOf?: Slot;
}

export interface AcquireOptions extends WaitOptions {
  /** Governs the wait only: after the slot is there an abort does nothing. */
  signal?: AbortSignal;
  /** Writes a ping to the client. The next is due a whole interval after it came back; if it fails, the wait is cancelled. */
  onPing?: () => unknown;
}

export type Released = 'released' | 'already' | 'lost';
export type LostReason = 'expired' | 'forced' | 'store';

/** One unit of each key that was asked for. Collected without a release, it is released and counted as leaked. */
export class Slot implements Disposable, AsyncDisposable {
  private constructor();
  readonly keys: { scope: string; id: string }[];
  /** Why it, or a part of it, was lost. */
  readonly lost: LostReason | null;
  /** Gives all back, and hands it to whoever waits. Never waits, never fails. */
  release(): Released;
  /** Gives one scope back; `none` if it has no such scope (any more). */
  releaseScope(scope: string): Released | 'none';
  /** Moves what `other` holds to this slot. */
  join(other: Slot): void;
  /** Resolves when it is lost, or with `null` when it is released. */
  untilLost(options?: { signal?: AbortSignal }): Promise<LostReason | null>;
  /** Ties it to a signal: an abort releases it. */
  releaseOnAbort(signal: AbortSignal): this;
  /** Unties it. */
  detach(): this;
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What an owner sees who looks at a wait. */
export type Step = { type: 'ping' } | { type: 'granted'; slot: Slot } | { type: 'ended'; error: SlotError };

/** A place in a queue, for hosts that look for themselves. */
export class Wait implements Disposable, AsyncDisposable {
  private constructor();
  /** Where it stood, from 1, when it joined its queue. */
  readonly position: number;
  tryNext(): Step | null;
  /** Looking again after a ping says that it was written. */
  next(options?: { signal?: AbortSignal }): Promise<Step>;
  /** Gives up; the reason is the cause of the error. */
  cancel(reason?: unknown): void;
  /** Lets go of it; what it has not handed out is given back. */
  free(): void;
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** How a key stands. Times are milliseconds. */
export interface Load {
  readonly inUse: number;
  readonly waiting: number;
  readonly lapsed: number;
  readonly limit: Limit | null;
  /** (in use + waiting) × 100 ÷ limit; may pass 100. */
  readonly rate: number;
  readonly isClosed: boolean;
  readonly hasRoom: boolean;
  readonly oldestWait: number | null;
  readonly oldestHold: number | null;
}

export interface Holder {
  /** For `force`. */
  readonly holder: bigint;
  readonly scope: string;
  readonly id: string;
  readonly label: string;
  readonly age: number;
}

export interface ScopeStats {
  readonly granted: bigint;
  readonly grantedAfterWait: bigint;
  readonly busy: bigint;
  readonly queueFull: bigint;
  readonly timedOut: bigint;
  readonly cancelled: bigint;
  readonly closed: bigint;
  readonly storeUnavailable: bigint;
  readonly lost: bigint;
  readonly leaked: bigint;
  readonly lapsedOffers: bigint;
  readonly limitChanges: bigint;
  readonly waits: { count: bigint; p50: number; p90: number; p99: number; max: number };
}

export interface KeyStats extends ScopeStats {
  readonly peak: number;
  readonly meanHold: number | null;
}

export interface PoolOptions {
  /** Scopes that a wait takes first, in order. Default `user`, `api_key`. */
  first?: string[];
  /** Scopes that it takes last. Default `account`. */
  last?: string[];
  /** Among how many processes a limit is divided. */
  processes?: Whole;
  /** Tells on a bus what happens to waits and slots. */
  teller?: Teller;
  /** From when on a slot is held for long, which the teller tells, in milliseconds. Default 600,000. */
  heldLong?: number;
}

/**
 * Limits on requests in flight.
 *
 * ```js
 * await using slot = await pool.acquire('user', 42, { limit: 5, signal, onPing: () => res.write(ping) });
 * ```
 *
 * A wait keeps no process alive.
 */
export class SlotPool implements Disposable, AsyncDisposable {
  constructor(options?: PoolOptions);
  /** Takes a slot of every key or of none, first come, first served. Rejects with `SlotError`. */
  acquire(scope: string, id: string | Whole, options?: AcquireOptions & { limit?: Limit }): Promise<Slot>;
  acquire(asks: Ask[], options?: AcquireOptions): Promise<Slot>;
  /** As `acquire`, without a wait. */
  tryAcquire(scope: string, id: string | Whole, options?: TryOptions & { limit?: Limit }): Promise<Slot>;
  tryAcquire(asks: Ask[], options?: TryOptions): Promise<Slot>;
  /** Takes the first of these that has room, the least loaded first. */
  tryFirstOf(asks: Ask[], options?: TryOptions): Promise<{ index: number; slot: Slot }>;
  /** Begins to wait, for hosts that look for themselves. */
  wait(scope: string, id: string | Whole, options?: WaitOptions & { limit?: Limit }): Wait;
  wait(asks: Ask[], options?: WaitOptions): Wait;
  /** A limit that wins over those of calls. */
  setLimit(scope: string, id: string | Whole, limit: Limit, options?: { signal?: AbortSignal }): Promise<void>;
  clearLimit(scope: string, id: string | Whole, options?: { signal?: AbortSignal }): Promise<void>;
  /** Refuses who waits and newcomers, until `openKey`. */
  closeKey(scope: string, id: string | Whole, options?: { signal?: AbortSignal }): Promise<void>;
  openKey(scope: string, id: string | Whole, options?: { signal?: AbortSignal }): Promise<void>;
  load(keys: (Key | [scope: string, id: string | Whole])[], options?: { signal?: AbortSignal }): Promise<Load[]>;
  /** Their numbers, the least loaded first. */
  orderByLoad(keys: (Key | [scope: string, id: string | Whole])[], options?: { signal?: AbortSignal }): Promise<number[]>;
  /** Oldest first. */
  holders(scope: string, id: string | Whole, options?: { signal?: AbortSignal }): Promise<Holder[]>;
  heldLongerThan(ms: number, options?: { signal?: AbortSignal }): Promise<Holder[]>;
  /** Takes a slot away. Whether it was held. */
  force(scope: string, id: string | Whole, holder: Whole, options?: { signal?: AbortSignal }): Promise<boolean>;
  keyStats(scope: string, id: string | Whole): KeyStats | null;
  scopeStats(scope: string): ScopeStats;
  readonly knownKeys: number;
  /** Slots that were collected without a release, so far. */
  readonly leaked: bigint;
  /** The leaks that were found since the last call, 1,024 at most. */
  takeLeaks(): { scope: string; id: string; label: string; age: number }[];
  /** Refuses newcomers and who waits; slots stay valid. Idempotent. */
  close(): void;
  /** Lets go of the pool, which closes it. */
  free(): void;
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A limit as older gateways write it: 0 and less mean unlimited. */
export function nonpositiveIsUnlimited(limit: Whole): Limit;

/** Delays between tries, in milliseconds: the first, then each half as long again up to a cap, spread by a jitter. */
export class Backoff {
  constructor(options?: { first?: number; cap?: number; seed?: Whole; jitter?: boolean });
  next(): number;
  readonly attempt: number;
  reset(): void;
}

/** What a teller can tell. */
export type ToldKind =
  | 'slot.wait_begun'
  | 'slot.granted'
  | 'slot.refused'
  | 'slot.lost'
  | 'slot.held_long'
  | 'check.finished';

/**
 * Tells on a bus what happens in the pools and runners that it is given to: each thing as an event of its own kind, with
 * a JSON object. It keeps the bus open as long as it lives.
 *
 * ```js
 * const pool = new SlotPool({ teller: new Teller(bus, { kinds: ['slot.refused', 'slot.lost'] }) });
 * ```
 */
export class Teller {
  /** All kinds by default. Ids of secret scopes (`api_key` by default) are told to nobody. */
  constructor(bus: Bus, options?: { kinds?: ToldKind[]; secretScopes?: string[] });
  /** The kinds that can be told. */
  static readonly KINDS: ToldKind[];
  /** Events that could not be published, because the bus was closed. */
  readonly failed: bigint;
}

/** How rounds go. Times are milliseconds. */
export interface AdmissionOptions {
  /** From the beginning of one round to that of the next. Default 5,000. */
  every?: number;
  /** How many checks run at once, 1 to 1,024; as many again may be stuck. Default 5. */
  atOnce?: Whole;
  /** After how long a check is stuck. Default 63,000. */
  limit?: number;
  /** The first round begins within this time, drawn from `seed`. Default 0. */
  jitter?: number;
  /** The same seed, the same time; drawn by the library by default. */
  seed?: Whole;
  /** Tells on a bus how checks ended. */
  teller?: Teller;
}

/** What is to be checked (an id of 1 to 255 bytes), and for how long it has been due, in milliseconds. */
export type Due =
  | string
  | Whole
  | [id: string | Whole, overdue?: number]
  | { id: string | Whole; overdue?: number };

/** How a check ended: it is well, it is not, or the check itself broke down. */
export type Verdict = 'succeeded' | 'failed' | 'panicked';

/** A check that is under way. */
export interface InFlight {
  readonly id: string;
  /** For how long, in milliseconds. */
  readonly age: number;
  /** Whether it is over its time. */
  readonly isStuck: boolean;
}

/** What was counted since the beginning. run = succeeded + failed + panicked + in flight. */
export interface RunnerStats {
  readonly rounds: bigint;
  /** Rounds in which it could not be said what is due. */
  readonly failedRounds: bigint;
  /** Rounds that were passed over because of a pause. */
  readonly pausedRounds: bigint;
  readonly run: bigint;
  readonly succeeded: bigint;
  readonly failed: bigint;
  /** Checks that threw, or whose permit was given back without a verdict. */
  readonly panicked: bigint;
  /** Checks that were over their time; counted by their end, too. */
  readonly stuck: bigint;
  /** Due items that were being checked already. */
  readonly skippedBusy: bigint;
  /** Due items that found no room. */
  readonly skippedFull: bigint;
  /** Checks that began more than a round after they were due. */
  readonly late: bigint;
}

/** The right to check one item, and its mark as being checked. Collected without a verdict, it counts as `panicked`. */
export class Permit implements Disposable, AsyncDisposable {
  private constructor();
  readonly id: string;
  /** How much time its check has left, in milliseconds. */
  readonly timeLeft: number;
  /** Whether the check is to end: it is over its time, or all is being stopped. */
  readonly shouldEnd: boolean;
  /** Gives it back; without a verdict it counts as `panicked`. A second time does nothing. */
  finish(verdict?: Verdict): void;
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Says which checks may begin, for hosts that have a loop of their own. Others take a `Runner`. */
export class Admission {
  constructor(options?: AdmissionOptions);
  /** How long until the next round, in milliseconds. */
  readonly untilNextRound: number;
  /** Begins a round: a permit for each item that may be checked now, the longest overdue first. */
  admit(due: Iterable<Due>, options?: { atMost?: Whole }): Permit[];
  /** Notes a round in which it could not be said what is due. */
  failRound(): void;
  pause(): void;
  resume(): void;
  readonly paused: boolean;
  /** No check begins any more. Idempotent. */
  stop(): void;
  /** Oldest first. */
  inFlight(): InFlight[];
  stats(): RunnerStats;
}

/** A runner's list, its check, and how rounds go. */
export interface RunnerOptions extends AdmissionOptions {
  /** What is due now. The signal is aborted by a stop. If it fails, the round is counted as failed, and the next is due. */
  due: (options: { signal: AbortSignal }) => Iterable<Due> | Promise<Iterable<Due>>;
  /**
   * Checks one item: `false` is `failed`, a rejection `panicked`, all else `succeeded`. The signal is aborted when the check
   * is over its time (`timeout`) or the runner is being stopped (`closed`).
   */
  check: (id: string, options: { signal: AbortSignal }) => unknown;
  /** Hears what a check or, with `null`, a question what is due threw. */
  onError?: (error: unknown, id: string | null) => void;
}

/**
 * Periodic checks as promises of this loop: a few at once, never two of one id, the longest overdue first.
 *
 * ```js
 * const runner = new Runner({
 *   due: () => accounts.filter((account) => account.isDue()).map(({ id, overdue }) => ({ id, overdue })),
 *   check: async (id, { signal }) => (await fetch(urlOf(id), { signal })).ok,
 * }).start();
 * const { left } = await runner.stop({ timeout: 10000 });
 * ```
 *
 * It keeps no process alive.
 */
export class Runner implements Disposable, AsyncDisposable {
  constructor(options: RunnerOptions);
  /** Begins; twice is once. Throws `closed` after a stop. */
  start(): this;
  readonly started: boolean;
  /** Rounds are passed over; what is in flight goes on. */
  pause(): void;
  resume(): void;
  readonly paused: boolean;
  /**
   * Begins nothing any more, tells what is under way, and waits for it, at most for `timeout` milliseconds: then it names
   * the checks that have not ended. From inside a check it does not wait for that one. Twice is fine.
   */
  stop(options?: { timeout?: number; signal?: AbortSignal }): Promise<{ left: InFlight[]; hasEnded: boolean }>;
  /** What is being checked now, oldest first. */
  inFlight(): InFlight[];
  stats(): RunnerStats;
  /** Stops, and waits for nobody. */
  [Symbol.dispose](): void;
  /** Stops, and waits for all. */
  [Symbol.asyncDispose](): Promise<void>;
}
