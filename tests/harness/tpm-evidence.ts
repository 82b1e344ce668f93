import type { AgentOptions } from './agent-process.js';
import type { SoftTpm } from './swtpm.js';

/** Returns sections of a document, in TOML: it is measured into a TPM, whose quotes are the evidence. `more`: lines of `[evidence]`. */
export function tpmEvidence(more = 'require = ["tpm"]'): string {
  return `[measurement]
tpm = "require"

[evidence]
sources = ["tpm"]
${more}
`;
}

/** Returns the options of an agent with a TPM. Its /run is `run` in a directory that has `run/kata-agent`, and outlives the agent. */
export function agentWithTpm(config: string, tpm: SoftTpm, directory: string): AgentOptions {
  return {
    config,
    env: { TPM2TOOLS_TCTI: tpm.transport },
    sharesNetwork: true,
    setup: `mount --bind ${directory}/run /run && mount --bind /run/kata-agent /run/kata-agent`,
  };
}
