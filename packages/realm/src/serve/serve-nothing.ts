import { refuseUpgrade } from '../listener/answer.js';
import type { OperatorRequest } from './serve-operator.js';

const body = `${JSON.stringify({ error: { code: 'unimplemented', message: 'this realm serves no operators' } })}\n`;

/** Answers every request of an operator with 501. */
export function serveNothing(request: OperatorRequest): void {
  if (request.kind === 'upgrade') refuseUpgrade(request.socket, 501, body);
  else request.response.writeHead(501, { 'Content-Type': 'application/json' }).end(body);
}
