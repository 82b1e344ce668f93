/** What a registry asks for in WWW-Authenticate. */
export type Challenge =
  | { readonly scheme: 'basic' }
  | { readonly scheme: 'bearer'; readonly realm: string; readonly service: string | undefined };

const maxLength = 4_096;

/** Reads the challenges of a 401 (RFC 9110, Section 11.6.1). Returns the first that is supported; bearer before basic. */
export function parseChallenges(values: readonly string[]): Challenge | undefined {
  const found = values.filter((value) => value.length <= maxLength).flatMap(challengesOf);
  return found.find(({ scheme }) => scheme === 'bearer') ?? found[0];
}

function challengesOf(value: string): readonly Challenge[] {
  // A scheme is a token before white space, or alone; a parameter has "=" after its name.
  const parts = value.matchAll(/([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([\w-]+)/g);
  const schemes: { readonly name: string; readonly parameters: Map<string, string> }[] = [];
  for (const [, name, text, token, scheme] of parts) {
    if (scheme !== undefined) schemes.push({ name: scheme.toLowerCase(), parameters: new Map() });
    else if (name !== undefined)
      schemes.at(-1)?.parameters.set(name.toLowerCase(), text?.replaceAll(/\\(.)/g, '$1') ?? token ?? '');
  }
  return schemes.flatMap(({ name, parameters }): readonly Challenge[] => {
    if (name === 'basic') return [{ scheme: 'basic' }];
    const realm = parameters.get('realm');
    return name === 'bearer' && realm !== undefined
      ? [{ scheme: 'bearer', realm, service: parameters.get('service') }]
      : [];
  });
}
