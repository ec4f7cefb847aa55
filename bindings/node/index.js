'use strict';

const { ReqbusError, SlotError } = require('./lib/errors.js');
const { Admission, Permit } = require('./lib/admission.js');
const { Backoff } = require('./lib/backoff.js');
const { Bus } = require('./lib/bus.js');
const { CleanupGuard } = require('./lib/guard.js');
const { SlotPool, nonpositiveIsUnlimited } = require('./lib/pool.js');
const { Runner } = require('./lib/runner.js');
const { Slot } = require('./lib/slot.js');
const { Subscription } = require('./lib/subscription.js');
const { Teller } = require('./lib/teller.js');
const { Wait } = require('./lib/wait.js');

exports.Admission = Admission;
exports.Backoff = Backoff;
exports.Bus = Bus;
exports.CleanupGuard = CleanupGuard;
exports.Permit = Permit;
exports.ReqbusError = ReqbusError;
exports.Runner = Runner;
exports.Slot = Slot;
exports.SlotError = SlotError;
exports.SlotPool = SlotPool;
exports.Subscription = Subscription;
exports.Teller = Teller;
exports.Wait = Wait;
exports.nonpositiveIsUnlimited = nonpositiveIsUnlimited;
