import type { Guest } from '../guest.js';
import type { Route } from '../network/network-values.js';
import { listRoutes as list } from '../network/routes.js';
import { translated } from '../translate-error.js';

export function listRoutes({ context }: Guest): Promise<readonly Route[]> {
  return translated(() => list(context.tools));
}
