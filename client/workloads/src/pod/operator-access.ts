/** What an operator may do with pods, beside what runs them. */
export interface OperatorAccess {
  /** `kubectl logs` and `kubectl attach` of output. */
  readonly logs: boolean;
  /** `kubectl top`, and the engine's own metrics. */
  readonly metrics: boolean;
  /** Command lines that `kubectl exec` may run in each container, without standard input and a terminal. */
  readonly commands: readonly (readonly string[])[];
}

export const noOperatorAccess: OperatorAccess = { logs: false, metrics: false, commands: [] };

/** Why a call of an operator is in the configuration. */
export const allowedBy = { logs: '--allow logs', metrics: '--allow top', commands: '--allow exec' } as const;

/** Verbs of kubectl that cannot be allowed by name, with what to do. */
const others: ReadonlyMap<string, string> = new Map([
  ['cp', 'kubectl cp runs tar in the container: allow that command, exec="tar cf - /data"'],
  ['port-forward', 'it needs no method of the agent: the node connects to the network of the pod'],
  ['debug', 'the container that it adds is in no manifest: generate a configuration for the pod with it'],
]);

export type ParsedAccess =
  | { readonly ok: true; readonly access: OperatorAccess }
  | { readonly ok: false; readonly message: string; readonly help: string };

/**
 * Parses `logs`, `attach`, `top` and `exec=COMMAND`. A command is words between blanks, or a JSON list of texts.
 *
 * @param texts each of one item
 */
export function parseOperatorAccess(texts: readonly string[]): ParsedAccess {
  let access = noOperatorAccess;
  for (const text of texts) {
    const [verb = ''] = text.split('=', 1);
    const other = others.get(verb);
    if (other !== undefined)
      return { ok: false, message: `${JSON.stringify(text)} cannot be allowed`, help: other };
    const command = text.startsWith('exec=') ? commandOf(text.slice('exec='.length)) : undefined;
    if (text === 'logs' || text === 'attach') access = { ...access, logs: true };
    else if (text === 'top') access = { ...access, metrics: true };
    else if (command !== undefined) access = { ...access, commands: [...access.commands, command] };
    else
      return {
        ok: false,
        message: `${JSON.stringify(text)} is nothing that can be allowed`,
        help: 'pass logs, attach, top, or exec=COMMAND, such as exec="sh -c date" or exec=\'["sh", "-c", "date -u"]\'',
      };
  }
  return { ok: true, access };
}

function commandOf(text: string): readonly string[] | undefined {
  const words = text.startsWith('[') ? listOf(text) : text.split(/\s+/).filter((word) => word !== '');
  return words === undefined || words.length === 0 ? undefined : words;
}

function listOf(text: string): readonly string[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((word) => typeof word === 'string') ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
