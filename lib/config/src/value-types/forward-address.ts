import { serverAddress } from './server-address.js';
import { path, text } from './text.js';
import { printable } from './value-schema.js';
import type { ValueType } from './value-type.js';

const scheme = 'unix://';

/**
 * The socket of the inner agent: `unix://` and an absolute path. Not an abstract name: such a socket has neither owner nor
 * mode, so every process of the network namespace can connect to it.
 */
export const forwardAddress: ValueType<string> = text({
  name: 'address of a unix socket',
  pattern: `^unix://(/(?!\\.{1,2}(/|$))${printable('/')}+)+$`,
  what: 'the address of a unix socket with a path, such as "unix:///run/kata-agent-inner/agent.sock": an abstract socket has no owner and no mode',
  accept: (text) =>
    text.startsWith(scheme) && path.fromText(text.slice(scheme.length)).ok && serverAddress.fromText(text).ok,
});
