import { refuseUpgrade } from '../listener/answer.js';
import type { OperatorsService } from './realm-backend.js';

const status = 501;
const body = `${JSON.stringify({ error: { code: 'unimplemented', message: 'this realm serves no operators' } })}\n`;

/** Answers every request of an operator with 501. */
export const noOperators: OperatorsService = {
  request: async (_request, response) => {
    response.writeHead(status, { 'Content-Type': 'application/json', Connection: 'close' }).end(body);
  },
  upgrade: async (_request, socket) => refuseUpgrade(socket, status, body),
  recheck: () => undefined,
  close: () => undefined,
  counts: { operatorTls: 0, trusted: 0, readers: 0, bytes: { toGuest: 0, toOperator: 0 } },
};
