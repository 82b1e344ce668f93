import type { Guest } from '../guest.js';
import { type Link, links } from '../network/links.js';
import { translated } from '../translate-error.js';

export function listInterfaces({ context }: Guest): Promise<readonly Link[]> {
  return translated(() => links(context.tools));
}
