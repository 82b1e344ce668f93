import { Descriptor, type Syscalls } from '@kata-agent/linux';
import type { HostMedia } from '../media/host-media.js';
import type { NamedSource } from './open-source.js';
import { type RequestedSource, rulesOf, type SourceRules } from './source-place.js';

/** Opens the source of a request as `openSource`, in another thread. The caller closes the descriptor. */
export async function openSourceOf(
  requested: RequestedSource,
  context: SourceRules & { readonly media: HostMedia; readonly syscalls: Syscalls },
): Promise<NamedSource> {
  const { fd, ...source } = await context.media.run('openSource', { requested, rules: rulesOf(context) });
  return { ...source, descriptor: new Descriptor(context.syscalls, fd) };
}
