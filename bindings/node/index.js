'use strict';

const { ReqbusError, SlotError } = require('./lib/errors.js');
const { Backoff } = require('./lib/backoff.js');
const { Bus } = require('./lib/bus.js');
const { CleanupGuard } = require('./lib/guard.js');
const { SlotPool, nonpositiveIsUnlimited } = require('./lib/pool.js');
const { Slot } = require('./lib/slot.js');
const { Subscription } = require('./lib/subscription.js');
const { Wait } = require('./lib/wait.js');

exports.Backoff = Backoff;
exports.Bus = Bus;
exports.CleanupGuard = CleanupGuard;
exports.ReqbusError = ReqbusError;
exports.Slot = Slot;
exports.SlotError = SlotError;
exports.SlotPool = SlotPool;
exports.Subscription = Subscription;
exports.Wait = Wait;
exports.nonpositiveIsUnlimited = nonpositiveIsUnlimited;
