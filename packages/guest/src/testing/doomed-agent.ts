import { RealGuest } from './real-guest.js';

// A program that runs a container, says so, and waits to be killed.

const real = await RealGuest.open();
const id = await real.run(['sleep', '1000']);
process.stdout.write(`${real.directory} ${id}\n`);
