/** The key of a value of one call. Keys are compared by identity. */
export interface ContextKey<T> {
  readonly name: string;
  /** Present in the type only. A function of T and to T, so that no key is taken for one of a wider or narrower type. */
  readonly type?: (value: T) => T;
}

/** Creates a key. `name` describes it where a key is printed. */
export function contextKey<T>(name: string): ContextKey<T> {
  return { name };
}

/** The values that interceptors and handlers attach to one call, each of the type of its key. */
export class ContextValues {
  readonly #values = new Map<object, unknown>();

  /** Returns undefined if there is no value. */
  get<T>(key: ContextKey<T>): T | undefined {
    return this.#values.get(key) as T | undefined;
  }

  /** Replaces an earlier value. */
  set<T>(key: ContextKey<T>, value: T): void {
    this.#values.set(key, value);
  }
}
