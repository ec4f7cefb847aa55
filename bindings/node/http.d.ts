import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Bus } from './index.js';

/** Who may connect, and what they get. */
export interface SseOptions {
  /** Keys that match; left out, all. */
  keys?: string[];
  /** Kinds that match; left out, all. */
  kinds?: string[];
  label?: string;
  /** How long a burst may gather into one write, in milliseconds. Default 10. */
  linger?: number;
  /** A connection that was quiet for this long gets a heartbeat. Default 15,000 ms. */
  heartbeat?: number;
  /** More are answered 503. Default 100. */
  maxConnections?: number;
  /** More from one address are answered 503; 0 is off. Default 20. */
  maxPerAddress?: number;
  /** Refuses who sends no origin. */
  strictOrigin?: boolean;
  /** Origins that may connect beside those of the same host. */
  origins?: string[];
}

/**
 * Serves a bus as server-sent events to plain http, Express and whatever hands out `(req, res)`. A client resumes by
 * `Last-Event-ID`, or by `?last_event_id=`, which the header beats.
 */
export function sseHandler(bus: Bus, options?: SseOptions): (req: IncomingMessage, res: ServerResponse) => Promise<void>;

/** The same in the words of fetch, for Hono and others. */
export function fetchHandler(
  bus: Bus,
  options?: SseOptions & {
    /** The client's address; without it `maxPerAddress` does not count. */
    addressOf?: (request: Request) => string;
  },
): (request: Request) => Response;
