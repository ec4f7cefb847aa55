// The same objects as of index.js: a program may have both.
import reqbus from './index.js';

export const {
  Backoff,
  Bus,
  CleanupGuard,
  ReqbusError,
  Slot,
  SlotError,
  SlotPool,
  Subscription,
  Wait,
  nonpositiveIsUnlimited,
} = reqbus;
