import * as perform from '@kata-agent/guest';
import type { Handler } from './handler.js';

export const reseedRandomDev: Handler<'reseedRandomDev'> = async ({ guest }, { data }) => {
  await perform.reseedRandom(guest, data);
  return {};
};

export const setGuestDateTime: Handler<'setGuestDateTime'> = async ({ guest }, { Sec, Usec }) => {
  await perform.setClock(guest, { seconds: Sec, microseconds: Usec });
  return {};
};
