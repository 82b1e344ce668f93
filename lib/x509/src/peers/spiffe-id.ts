const maxBytes = 2048;

/**
 * Returns why a URI is not a valid SPIFFE id of a workload; undefined if it is. No query, percent signs, empty or
 * climbing segments: those have several spellings or several readings.
 */
export function spiffeFault(uri: string): string | undefined {
  if (uri.length > maxBytes) return `it has more than ${maxBytes} bytes`;
  const match = /^spiffe:\/\/([^/]*)(.*)$/.exec(uri);
  if (match === null) return 'it does not begin with spiffe:// in lower case';
  const [, domain = '', path = ''] = match;
  if (!/^[a-z0-9._-]{1,255}$/.test(domain))
    return `the trust domain '${domain}' has other characters than a-z 0-9 . _ -`;
  return pathFault(path);
}

/** Reports whether a URI claims to be a SPIFFE id. */
export function claimsSpiffe(uri: string): boolean {
  return /^spiffe:/i.test(uri);
}

function pathFault(path: string): string | undefined {
  if (path === '') return 'it has no path';
  for (const segment of path.slice(1).split('/')) {
    if (segment === '') return 'it has an empty segment';
    if (segment === '.' || segment === '..') return `it has the segment '${segment}'`;
    if (!/^[A-Za-z0-9._-]+$/.test(segment))
      return `the segment '${segment}' has other characters than A-Z a-z 0-9 . _ -`;
  }
  return undefined;
}
