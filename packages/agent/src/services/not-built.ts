import type { MethodName } from '@kata-agent/catalogue';
import { Code, TtrpcError } from '@kata-agent/ttrpc';

/** The handler of a method whose work is not built yet: an honest answer, and the one that runtimes tolerate best. */
export function notBuilt(method: MethodName): () => Promise<never> {
  return () => Promise.reject(new TtrpcError(Code.Unimplemented, `${method}: not built yet`));
}
