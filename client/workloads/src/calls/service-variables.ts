import type { ValueForm } from '../facts/value-form.js';

/** What the names of service variables end with: `serviceVariables` of the gate has their meaning. */
const suffix =
  '_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[1-9][0-9]*_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$';

/** Names of service variables: of any service, and of the API server. The first includes the second. */
export const serviceNames: { readonly any: RegExp; readonly apiServer: RegExp } = {
  any: new RegExp(`^[A-Z0-9][A-Z0-9_]*${suffix}`),
  apiServer: new RegExp(`^KUBERNETES${suffix}`),
};

/** Returns the variables of a service with one TCP port, with sample values. */
export function serviceSamples(name: string, port: string, word: string): Readonly<Record<string, string>> {
  const address = '10.96.0.1';
  return {
    [`${name}_SERVICE_HOST`]: address,
    [`${name}_SERVICE_PORT`]: port,
    [`${name}_SERVICE_PORT_${word}`]: port,
    [`${name}_PORT`]: `tcp://${address}:${port}`,
    [`${name}_PORT_${port}_TCP`]: `tcp://${address}:${port}`,
    [`${name}_PORT_${port}_TCP_PROTO`]: 'tcp',
    [`${name}_PORT_${port}_TCP_PORT`]: port,
    [`${name}_PORT_${port}_TCP_ADDR`]: address,
  };
}

/** Returns the form of service variables: of any service of the namespace, or of the API server. */
export function servicesForm(which: keyof typeof serviceNames, because: string): ValueForm {
  const condition = 'name in service_env';
  return {
    condition: which === 'any' ? condition : `${condition} && service_env[name] == "KUBERNETES"`,
    names: serviceNames[which],
    because,
  };
}
