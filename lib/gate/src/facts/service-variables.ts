import { isIP } from 'node:net';

/** A port of a service, as its variables have it: number and protocol. */
interface ServicePort {
  readonly number: string;
  /** In lower case. */
  readonly protocol: string;
  readonly address: string;
}

const serviceName = /^[A-Z0-9](?:[A-Z0-9_]*[A-Z0-9])?$/;
const ofPort = /^(.+)_PORT_([1-9][0-9]{0,4})_(TCP|UDP|SCTP)$/;

/**
 * Returns the variables that Kubernetes sets for services, each with the name of its service: `CACHE_PORT` with `CACHE`. Name and value
 * have exactly this form, where the service NAME (upper case, `_` for `-`) has the address ADDRESS and ports with number N, protocol T
 * and perhaps a name P:
 *
 *     NAME_SERVICE_HOST    ADDRESS
 *     NAME_SERVICE_PORT    number of the first port
 *     NAME_SERVICE_PORT_P  number of the port named P
 *     NAME_PORT            T://ADDRESS:N of the first port, with an IPv6 address in brackets
 *     NAME_PORT_N_T        T://ADDRESS:N
 *     NAME_PORT_N_T_PROTO  T in lower case
 *     NAME_PORT_N_T_PORT   N
 *     NAME_PORT_N_T_ADDR   ADDRESS
 *
 * The variables of a service agree, and none is missing. A pod may replace the first ones: they need only exist, and the values of the
 * others agree with the ports.
 *
 * Source: Kubernetes `FromServices` and `makeLinkVariables` in pkg/kubelet/envvars/envvars.go.
 */
export function serviceVariables(environment: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const services = new Map<string, ServicePort[]>();
  for (const [name, value] of environment) {
    const [, service = '', number = '', word = ''] = ofPort.exec(name) ?? [];
    if (!serviceName.test(service) || Number(number) > 65535) continue;
    const address = environment.get(`${name}_ADDR`) ?? '';
    const port: ServicePort = { number, protocol: word.toLowerCase(), address };
    if (
      isAddress(address) &&
      value === urlOf(port) &&
      environment.get(`${name}_PROTO`) === port.protocol &&
      environment.get(`${name}_PORT`) === number
    )
      services.set(service, [...(services.get(service) ?? []), port]);
  }
  const found = new Map<string, string>();
  for (const [service, ports] of services) {
    const [{ address } = { address: '' }] = ports;
    const first = ['SERVICE_HOST', 'SERVICE_PORT', 'PORT'].map((word) => `${service}_${word}`);
    if (!first.every((name) => environment.has(name))) continue;
    if (!ports.every((port) => port.address === address)) continue;
    for (const [name, value] of [...expectedOf(service, ports), ...firstOf(service, ports, environment)])
      if (environment.get(name) === value) found.set(name, service);
  }
  addNamedPorts(environment, services, found);
  return found;
}

function expectedOf(service: string, ports: readonly ServicePort[]): readonly (readonly [string, string])[] {
  return ports.flatMap((port) => {
    const { number, protocol, address } = port;
    const name = `${service}_PORT_${number}_${protocol.toUpperCase()}`;
    return [
      [name, urlOf(port)],
      [`${name}_PROTO`, protocol],
      [`${name}_PORT`, number],
      [`${name}_ADDR`, address],
    ] as const;
  });
}

/** The variables of the first port, which can be any of them. */
function firstOf(
  service: string,
  ports: readonly ServicePort[],
  environment: ReadonlyMap<string, string>,
): readonly (readonly [string, string])[] {
  const [{ address } = { address: '' }] = ports;
  const url = environment.get(`${service}_PORT`);
  const number = environment.get(`${service}_SERVICE_PORT`);
  // The pod may have replaced one of the two.
  const isOf = (port: ServicePort): boolean =>
    urlOf(port) === url && (number === port.number || !ports.some((other) => other.number === number));
  return [
    [`${service}_SERVICE_HOST`, address],
    ...ports.filter(isOf).map((port) => [`${service}_PORT`, urlOf(port)] as const),
    ...ports
      .filter((port) => isOf(port) || !ports.some((other) => urlOf(other) === url))
      .map((port) => [`${service}_SERVICE_PORT`, port.number] as const),
  ];
}

/** Adds the variables of named ports. The name of a service may contain `_SERVICE_PORT_`, too. */
function addNamedPorts(
  environment: ReadonlyMap<string, string>,
  services: ReadonlyMap<string, readonly ServicePort[]>,
  found: Map<string, string>,
): void {
  const middle = '_SERVICE_PORT_';
  for (const [name, value] of environment) {
    for (let at = name.indexOf(middle); at > 0; at = name.indexOf(middle, at + 1)) {
      const service = name.slice(0, at);
      const isKnown = found.has(`${service}_SERVICE_HOST`) || found.has(`${service}_PORT`);
      const ports = isKnown ? (services.get(service) ?? []) : [];
      if (!serviceName.test(name.slice(at + middle.length))) continue;
      if (ports.some(({ number }) => number === value)) found.set(name, service);
    }
  }
}

function urlOf({ protocol, address, number }: ServicePort): string {
  return `${protocol}://${address.includes(':') ? `[${address}]` : address}:${number}`;
}

/** Reports whether a text is an IP address, without a zone. */
function isAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes('%');
}
