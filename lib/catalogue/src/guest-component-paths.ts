/** Where Kata's agent and the guest components expect each other (Kata 4.1, `src/agent/src/main.rs`). */
const components = '/run/confidential-containers';

/** Only the attestation agent's socket is there, which signs reports over any bytes. */
export const attestationAgentDirectory: string = `${components}/attestation-agent`;

/** Where the attestation agent listens. */
export const attestationAgentSocket: string = `${attestationAgentDirectory}/attestation-agent.sock`;

/** Where the confidential data hub listens. */
export const dataHubSocket: string = `${components}/cdh.sock`;

/** Where initdata is written, and where the components look for their parts of it. */
export const initdataDirectory: string = `${components}/initdata`;
