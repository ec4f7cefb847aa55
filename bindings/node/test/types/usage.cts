// The same package by require.
import reqbus = require('reqbus');

const bus: reqbus.Bus = new reqbus.Bus();
export const newest: string = bus.newest;
