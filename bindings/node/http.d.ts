/// <reference types="node" />
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Ask, Bus, RequestEvent, Slot, SlotError, SlotPool } from './index.js';

/** Which pages may connect: those of the same host and whoever sends no origin; not the latter; all. */
export type OriginPolicy = 'permissive' | 'strict' | 'any';

/** Who may connect. */
export interface DoorsOptions {
  /** More at once are answered 503. Default 100. */
  maxConnections?: number;
  /** More at once from one address are answered 503; 0 is off. Default 20. */
  maxPerAddress?: number;
  /** Default `permissive`. */
  origin?: OriginPolicy;
  /** Origins that may connect beside those of the same host. */
  origins?: string[];
  /** Addresses and networks whose `X-Forwarded-For` and `X-Forwarded-Host` are believed. Default loopback. */
  trustedProxies?: string[];
  /**
   * Asked for each connection: while it says `false`, an EventSource is answered 204 and a WebSocket closed with 4001, and
   * neither connects again.
   */
  enabled?: () => boolean;
}

/** Who may connect. Several handlers may share one, and with it its limits. */
export class Doors {
  constructor(options?: DoorsOptions);
  /** How many are in. */
  readonly connections: number;
  readonly enabled: boolean;
  /** The client's address: the leftmost forwarded one behind a trusted proxy, else the peer's. */
  addressOf(req: IncomingMessage): string;
  isAllowed(req: IncomingMessage): boolean;
  isAllowedOrigin(origin: string | null | undefined, host: string | null | undefined): boolean;
  /** Takes a place: a function that gives it back, once; `null` if there is none. */
  enter(address: unknown): (() => void) | null;
}

/** Reads a list of addresses and networks, separated by commas. Bad entries are told; the good ones hold all the same. */
export function parseTrustedProxies(text: string): { proxies: string[]; bad: string[] };

/** Reads `permissive`, `strict` or `any`, in any case; what is none of them is `permissive`. */
export function parseOriginPolicy(text: string | null | undefined): OriginPolicy;

/** What clients get, and who may connect: by options of its own, or by doors. Times are milliseconds. */
export interface HandlerOptions extends DoorsOptions {
  doors?: Doors;
  /** Keys that match; left out, all. */
  keys?: string[];
  /** Kinds that match; left out, all. */
  kinds?: string[];
  label?: string;
  /** How long a burst may gather into one write. Default 10. */
  linger?: number;
  /** A connection that was quiet for this long is sent the id up to which it has everything. SSE 15,000, WebSocket 30,000. */
  heartbeat?: number;
  /** A client that takes nothing for this long is let go. Default 10,000. */
  writeTimeout?: number;
}

export interface SseOptions extends HandlerOptions {
  /** When an EventSource connects again. Default 3,000. */
  retry?: number;
}

/**
 * Serves a bus as server-sent events to plain http, Express and whatever hands out `(req, res)`. A client resumes by
 * `Last-Event-ID`, or by `?last_event_id=`, which the header beats.
 *
 * Fastify: `app.get('/events', (request, reply) => { reply.hijack(); handler(request.raw, reply.raw); })`.
 */
export function sseHandler(bus: Bus, options?: SseOptions): (req: IncomingMessage, res: ServerResponse) => void;

/** The same in the words of fetch, for Hono and others. */
export function fetchHandler(
  bus: Bus,
  options?: SseOptions & {
    /** The client's address; without it `maxPerAddress` does not count. */
    addressOf?: (request: Request) => string;
  },
): (request: Request) => Response;

export interface WsOptions extends HandlerOptions {
  /** A client that answered no ping for this long is let go. Default 60,000. */
  pongWait?: number;
  /** The only subprotocol that is answered. */
  subprotocol?: string;
}

export interface WsHandler {
  /** Of upgrades. */
  (req: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Of other requests to the same path: they are told that an upgrade is wanted. */
  (req: IncomingMessage, res: ServerResponse): void;
  /** Serves the upgrades of one path of a server; others are left to others. What it returns undoes that. */
  attach(server: Server, path: string): () => void;
}

/**
 * Serves a bus over WebSockets, by the package `ws` (8): one JSON object per message, with id, kind, time and data. A
 * client resumes by `?last_event_id=`. Limits and origins are checked before the upgrade.
 *
 * ```js
 * wsHandler(bus).attach(server, '/ws');
 * ```
 */
export function wsHandler(bus: Bus, options?: WsOptions): WsHandler;

/** A page that shows requests as they finish. It reads them from `events` beside its own address. */
export function viewerHandler(): (req: IncomingMessage, res: ServerResponse) => void;

/** The same in the words of fetch. */
export function fetchViewer(): () => Response;

/** What `requests` leaves in `req.reqbus`. */
export interface RequestState {
  /** Given back when the answer is closed, or before. */
  readonly slot: Slot | null;
  /** Pings began the answer: its status is 200, and an error can only be told in the stream. */
  readonly streamStarted: boolean;
  /** How many bytes of the answer are pings. */
  readonly pingBytes: number;
}

export interface RequestsOptions<Req extends IncomingMessage = IncomingMessage, Res extends ServerResponse = ServerResponse> {
  /** Gets one event for each request. */
  bus?: Bus;
  /**
   * What the event says beside method, path and latency, asked when the answer is closed. By default a status below 400 is
   * `success`, 429 `rate_limited`, and all else `error`, as is a client that left before the end.
   */
  describe?: (req: Req, res: Res) => Partial<RequestEvent> | undefined;
  /** Hears why an event could not be published. */
  onError?: (error: unknown, req: Req) => void;
  pool?: SlotPool;
  /** The slots that a request needs; taken before the next handler, given back when the answer is closed. */
  slots?: (req: Req) => Ask[] | null | undefined | Promise<Ask[] | null | undefined>;
  /** Whether a client waits for a stream, and is pinged meanwhile. By default one that accepts `text/event-stream`. */
  streams?: (req: Req) => boolean;
  /** What is written as a ping. Default `: ping` and an empty line, an SSE comment. */
  ping?: string;
  /** How long to wait for slots at most. Default 30,000. */
  timeout?: number;
  maxWaiting?: number;
  pingEvery?: number;
  /** Answers with a refusal; by default 429 or 503 with JSON, or an event `error` if pings were written. */
  onRefused?: (error: SlotError, req: Req, res: Res) => void;
}

/**
 * A middleware for plain http, Express and whatever knows `(req, res, next)`: publishes one event for each request, on
 * every way out, and takes slots, with pings to clients that wait for a stream.
 *
 * Fastify: `app.addHook('onRequest', (request, reply, done) => { handle(request.raw, reply.raw, done); })`.
 */
export function requests<Req extends IncomingMessage = IncomingMessage, Res extends ServerResponse = ServerResponse>(
  options?: RequestsOptions<Req, Res>,
): (req: Req, res: Res, next: (error?: unknown) => void) => Promise<void>;

declare module 'node:http' {
  interface IncomingMessage {
    /** Of requests that went through `requests` of reqbus. */
    reqbus?: RequestState;
  }
}
