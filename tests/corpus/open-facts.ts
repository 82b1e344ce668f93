import type { GeneratedPlan } from '@kata-agent/analysis';
import type { CreateContainerRequest } from '@kata-agent/protocol/agent';
import type { Workload } from '@kata-agent/workloads';

/** The facts of one container that `generate` names as not constrained, in terms of the pod: `args[2]`, `env TOKEN`, `workingDir`. */
export class OpenFacts {
  readonly #fields: ReadonlySet<string>;
  /** How many elements of the command line are `args` of the pod. */
  readonly #args: number;

  constructor({ open }: Pick<GeneratedPlan, 'open'>, { containers }: Workload, container: string) {
    const own = open.filter((each) => each.container === container);
    // One entry can name several: `user, group of the user`.
    this.#fields = new Set(own.flatMap(({ fields }) => fields.flatMap((field) => field.split(', '))));
    this.#args = containers.find(({ name }) => name === container)?.args?.length ?? 0;
  }

  /** Returns the fact that a change of the request is about; undefined if `generate` does not name it. */
  named(before: CreateContainerRequest, after: CreateContainerRequest): string | undefined {
    const [was, is] = [before.OCI?.Process, after.OCI?.Process];
    if (was === undefined || is === undefined) return undefined;
    const [wasUser, isUser] = [was.User, is.User];
    const found = [
      ...this.#commandLine(was.Args, is.Args),
      ...this.#variables(was.Env, is.Env),
      ...(was.Cwd === is.Cwd ? [] : [this.#first('workingDir')]),
      ...((wasUser?.UID ?? 0) === (isUser?.UID ?? 0) ? [] : [this.#first('user')]),
      ...((wasUser?.GID ?? 0) === (isUser?.GID ?? 0) ? [] : [this.#first('group of the user')]),
      ...(String(wasUser?.AdditionalGids ?? []) === String(isUser?.AdditionalGids ?? [])
        ? []
        : [this.#first('supplementary groups')]),
    ];
    return found.includes(undefined) ? undefined : found[0];
  }

  #first(...fields: readonly string[]): string | undefined {
    return fields.find((field) => this.#fields.has(field));
  }

  #commandLine(before: readonly string[], after: readonly string[]): readonly (string | undefined)[] {
    if (JSON.stringify(before) === JSON.stringify(after)) return [];
    const all = this.#first('command', 'args');
    if (all !== undefined || before.length !== after.length) return [all];
    const own = before.length - this.#args;
    return before.flatMap((word, index) =>
      word === after[index] ? [] : [this.#first(index < own ? `command[${index}]` : `args[${index - own}]`)],
    );
  }

  #variables(before: readonly string[], after: readonly string[]): readonly (string | undefined)[] {
    const changed = [
      ...before.filter((each) => !after.includes(each)),
      ...after.filter((each) => !before.includes(each)),
    ];
    const names = new Set(changed.map((each) => each.replace(/=[^]*$/, '')));
    return [...names].map((name) => this.#first('env', `env ${name}`) ?? this.#family(name));
  }

  /** Variables whose names are not in the input: of a whole Secret, or with a prefix. */
  #family(name: string): string | undefined {
    return [...this.#fields].find((field) => {
      const prefix = /^variables (?<prefix>.*)\*$/.exec(field)?.groups?.['prefix'];
      return prefix === undefined ? field.startsWith('envFrom[') : name.startsWith(prefix);
    });
  }
}
