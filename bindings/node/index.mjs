// The same objects as of index.js: a program may have both.
import reqbus from './index.js';

export const {
  Admission,
  Backoff,
  Bus,
  CleanupGuard,
  Permit,
  ReqbusError,
  Runner,
  Slot,
  SlotError,
  SlotPool,
  Subscription,
  Teller,
  Wait,
  nonpositiveIsUnlimited,
} = reqbus;
