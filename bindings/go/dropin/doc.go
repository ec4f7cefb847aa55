// Package dropin gives reqbus the faces that gateways already have, so that replacing what they wrote by hand is a change
// of a few lines: a request event bus with channels ([RequestBus]), a broker that replays ([Broker]), a hub with first and
// last ([Hub]), and slots with a release function and pings to an http.ResponseWriter ([Slots]).
//
// New code is better off with package reqbus itself: there a reader learns what it lost, and where.
package dropin
