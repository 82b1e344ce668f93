import type { MethodName } from '@kata-agent/catalogue';
import { Code, TtrpcError } from '@kata-agent/ttrpc';

const made = new WeakSet<object>();

/** The handler of a method whose work is not built yet: an honest answer, and the one that runtimes tolerate best. */
export function notBuilt(method: MethodName): () => Promise<never> {
  const handler = () => Promise.reject(new TtrpcError(Code.Unimplemented, `${method}: not built yet`));
  made.add(handler);
  return handler;
}

/** Whether a handler came from `notBuilt`; the catalogue must say the same. */
export function isNotBuilt(handler: object): boolean {
  return made.has(handler);
}
