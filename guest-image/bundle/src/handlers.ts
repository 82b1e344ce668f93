// The agent's handlers and the guest's actions, as the functions that the compiled packages export. None is
// called.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '@kata-agent/setup/bootstrap';

/** The directory of the modules that export handlers. */
export const servicesDirectory: string = join(root, 'agent', 'server', 'dist', 'services');

/** The directory of the modules that export the guest's actions, which do the work of handlers. */
export const actionsDirectory: string = join(root, 'agent', 'guest', 'dist', 'perform');

/** Returns the handler of each method, by the method's local name (`createContainer`). */
export async function loadHandlers(): Promise<ReadonlyMap<string, unknown>> {
  const table = pathToFileURL(join(servicesDirectory, 'table.js')).href;
  const { handlers }: { readonly handlers: Readonly<Record<string, unknown>> } = await import(table);
  return new Map(Object.entries(handlers));
}

/** The export of a function. */
export interface FunctionExport {
  /** The file name without `.js`. */
  readonly module: string;
  readonly name: string;
}

/** Imports the modules of a directory and returns each exported function with its export. */
export async function exportedFunctions(directory: string): Promise<ReadonlyMap<unknown, FunctionExport>> {
  const functions = new Map<unknown, FunctionExport>();
  for (const file of readdirSync(directory)) {
    if (!file.endsWith('.js') || file.endsWith('.test.js') || file === 'table.js') continue;
    const exported: Readonly<Record<string, unknown>> = await import(
      pathToFileURL(join(directory, file)).href
    );
    for (const [name, value] of Object.entries(exported)) {
      if (typeof value === 'function') functions.set(value, { module: file.slice(0, -'.js'.length), name });
    }
  }
  return functions;
}
