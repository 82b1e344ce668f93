/**
 * Phases that run in one fixed order. A phase is a function: its parameter says what it needs, its result what it promises to later
 * phases, under the name that it has in the list. Each phase needs the promise of the one before it, even if it only depends on its
 * effect: so two phases that change place do not compile.
 */
export class Phases<Start extends object, Done extends Start, Last extends PropertyKey> {
  readonly #phases: readonly NamedPhase[];

  private constructor(phases: readonly NamedPhase[]) {
    this.#phases = phases;
  }

  /** Returns an empty list, whose first phase gets `Start`. */
  static from<Start extends object>(): Phases<Start, Start, never> {
    return new Phases([]);
  }

  /** Returns a list with one phase more. Does not compile if the phase needs what no earlier one promises. */
  add<const Name extends string, Phase extends (done: Done) => unknown>(
    name: Name extends keyof Done ? never : Name,
    phase: [Last] extends [keyof Parameters<Phase>[0]] ? Phase : never,
  ): Phases<Start, Done & { readonly [N in Name]: Awaited<ReturnType<Phase>> }, Name> {
    return new Phases([...this.#phases, { name, phase }]);
  }

  /**
   * Runs the phases; returns what they promised. What a phase throws ends the run. The event loop runs other tasks only where a
   * phase awaits something.
   */
  async run(start: Start): Promise<Done> {
    let done: object = start;
    for (const { name, phase } of this.#phases) {
      const promised = phase(done as never);
      done = { ...done, [name]: promised instanceof Promise ? await promised : promised };
    }
    return done as Done;
  }
}

interface NamedPhase {
  readonly name: string;
  readonly phase: (done: never) => unknown;
}
