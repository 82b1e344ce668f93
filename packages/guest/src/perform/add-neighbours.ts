import type { Guest } from '../guest.js';
import { addNeighbours as add } from '../network/neighbours.js';
import type { Neighbour } from '../network/network-values.js';

export function addNeighbours(guest: Guest, neighbours: readonly Neighbour[]): Promise<void> {
  return guest.change(() => add(neighbours, guest.context.tools));
}
