import type { AgentSettings } from '@kata-agent/config';

type Level = AgentSettings['guestComponentsProcs'];

/** The guest components in the order in which they are started; each level includes those before it. */
const levels: readonly Level[] = ['none', 'attestation-agent', 'confidential-data-hub', 'api-server-rest'];

/** Returns the number of a level: the components up to it are started. */
export function levelOf(requested: Level): number {
  return levels.indexOf(requested);
}

/** Returns the path of a component's program in Kata's images. */
export function builtInProgram(id: Exclude<Level, 'none'>): string {
  return `/usr/local/bin/${id}`;
}

/** Returns the paths of the programs that a level includes, in the guest image. */
export function builtInPrograms(requested: Level): readonly string[] {
  return levels.slice(0, levelOf(requested) + 1).flatMap((id) => (id === 'none' ? [] : [builtInProgram(id)]));
}
