/** Imports a compiled file of the agent by its path: the agent is a program, and exports little. */
export async function agentModule<T>(name: string): Promise<T> {
  return (await import(new URL(`../../agent/server/dist/${name}`, import.meta.url).href)) as T;
}
