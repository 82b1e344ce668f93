/** The parts that every agent has at its start; the others are of TLS listeners alone. */
export { FairQueue } from './fair-queue.js';
export { FairSlots } from './fair-slots.js';
