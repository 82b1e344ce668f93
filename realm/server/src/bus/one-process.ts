import type { Bus } from './bus.js';

function none(): never {
  throw new Error('a realm of one process has no other replicas');
}

/** The bus of a realm that is one process: there are no others. */
export const oneProcess: Bus = {
  replica: '',
  counts: undefined,
  ready: true,
  shared: undefined,
  remote: () => [],
  claim: async () => ({
    epoch: 0,
    isValid: true,
    touch: () => undefined,
    release: async () => undefined,
  }),
  connect: async () => none(),
  revoke: async () => none(),
  makePipe: () => none(),
  offerToken: async () => () => undefined,
  findToken: async () => undefined,
  serve: () => undefined,
  stop: () => undefined,
  close: async () => undefined,
};
