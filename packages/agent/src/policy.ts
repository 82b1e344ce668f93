import type { MethodName } from '@kata-agent/catalogue';
import { parseApiFragment, renderDiagnostic } from '@kata-agent/config';
import type { Decision, Gate } from '@kata-agent/gate';

/** The gate in force. It is replaced by a narrower one only, and only through `tighten` (S4). */
export class Policy {
  readonly #listeners: readonly string[];
  #gate: Gate;

  constructor(gate: Gate, listeners: readonly string[]) {
    this.#gate = gate;
    this.#listeners = listeners;
  }

  decide(listener: string, method: string): Decision {
    return this.#gate.decide(listener, method);
  }

  /** The methods that a listener may call now. */
  served(listener: string): readonly MethodName[] {
    return this.#gate.served(listener);
  }

  /** Whether some listener serves the method; when none serves a read, the workload's output is drained (R15). */
  servedToAnyone(method: string): boolean {
    return this.#listeners.some((listener) => this.#gate.decide(listener, method).outcome === 'allow');
  }

  /**
   * Narrows what is served by a SetPolicy text: a TOML `[api]` fragment or a plain list of Rego defaults.
   * Returns what is wrong with the text, and changes nothing then.
   */
  async tighten(text: string): Promise<string | undefined> {
    const fragment = await parseApiFragment(text, 'SetPolicy');
    if (!fragment.ok)
      return fragment.diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n');
    this.#gate = this.#gate.tighten(fragment.document);
    return undefined;
  }
}
