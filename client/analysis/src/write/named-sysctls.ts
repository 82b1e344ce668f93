import { isMessage, type Message } from '@bufbuild/protobuf';
import { canonicalSysctl, needsSysctlKey, sysctlParts, sysctlRunsPrograms } from '@kata-agent/catalogue';
import { isSysctlName } from '@kata-agent/config';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';

/** A sysctl of a request that the guest refuses unless the configuration names it. */
export interface NamedSysctl {
  /** Canonical: with dots. */
  readonly name: string;
  /** As the request has it. */
  readonly key: string;
  readonly value: string;
}

/** Returns the sysctls of a request that `[agent] sysctls` has to name. */
export function namedSysctls(request: Message): readonly NamedSysctl[] {
  if (!isMessage(request, CreateContainerRequestSchema)) return [];
  return Object.entries(request.OCI?.Linux?.Sysctl ?? {}).flatMap(([key, value]) => {
    const parts = sysctlParts(key);
    const name = parts === undefined ? key : canonicalSysctl(parts);
    return needsSysctlKey(name) ? [{ name, key, value }] : [];
  });
}

/** Reports whether the key can name a sysctl, and the guest then sets it. */
export function sysctlKeyHas(name: string): boolean {
  return isSysctlName(name) && !sysctlRunsPrograms(name);
}
