// The files of initdata that this agent knows (Confidential Containers, kbs/docs/initdata.md).

/** The agent's document in `[data]`. */
export const initdataKey: string = 'kata-agent.toml';

/** The policy of Kata's agent in `[data]`. */
export const initdataPolicyKey: string = 'policy.rego';

/** The files of the guest components in `[data]`, of the attestation agent and the confidential data hub. */
export const initdataComponentKeys: readonly string[] = ['aa.toml', 'cdh.toml'];
