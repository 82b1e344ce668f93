import type { Guest } from '../guest.js';
import { type DateTime, setClock as set } from '../resource/set-clock.js';
import { translated } from '../translate-error.js';

export function setClock({ context }: Guest, time: DateTime): Promise<void> {
  return translated(async () => set(time, context.syscalls));
}
