import { isIPv6 } from 'node:net';
import { CommandError, ExitCode } from '@kata-agent/cli';

const maxTcpPort = 0xffff;

/** A TCP address; port 0 is any free one. */
export interface HostPort {
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number;
}

/** Parses HOST:PORT of an option. Throws a CommandError (wrong use). */
export function parseHostPort(text: string, option: string): HostPort {
  const wrong = (why: string): CommandError =>
    new CommandError(ExitCode.Usage, `${option} '${text}': ${why}`, {
      help: ['write HOST:PORT, such as 0.0.0.0:8443; an IPv6 address is in brackets: [::]:8443'],
    });
  const [, address, name, digits = ''] = /^(?:\[([^\]]*)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const host = address ?? name;
  if (host === undefined) throw wrong('it is not of the form HOST:PORT');
  const valid = address === undefined ? /^[A-Za-z0-9.-]+$/.test(host) : isIPv6(host);
  if (!valid) throw wrong(`'${host}' is neither a host name nor an IP address`);
  if (Number(digits) > maxTcpPort) throw wrong(`the port must be a number up to ${maxTcpPort}`);
  return { host, port: Number(digits) };
}
