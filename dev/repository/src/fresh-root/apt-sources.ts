// This machine's apt mirrors and settings, for a root file system of another release.
import { run } from '@kata-agent/setup/run-program';

/** The URLs of Debian's archive and of its security archive. */
export interface Mirrors {
  readonly main: string;
  readonly security: string;
}

/** The mirrors if this machine's apt has none of Debian. */
const defaults: Mirrors = {
  main: 'http://deb.debian.org/debian/',
  security: 'http://deb.debian.org/debian-security/',
};

/** Returns the lines of sources.list for a release. */
export function sourcesFor(release: string, uris: Mirrors): readonly string[] {
  return [
    `deb ${uris.main} ${release} main`,
    `deb ${uris.main} ${release}-updates main`,
    `deb ${uris.security} ${release}-security main`,
  ];
}

/** Returns the mirrors of this machine's apt. */
export function mirrorUris(): Mirrors {
  const format = '$(LABEL)|$(REPO_URI)';
  return urisIn(run('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']));
}

/** Returns the mirrors in the output of `apt-get indextargets`: lines of `LABEL|URI`. */
export function urisIn(printed: string): Mirrors {
  const found = new Map(
    printed.split('\n').flatMap((line) => {
      const [label, uri] = line.split('|');
      return label === undefined || uri === undefined ? [] : [[label, uri]];
    }),
  );
  return {
    main: found.get('Debian') ?? defaults.main,
    security: found.get('Debian-Security') ?? defaults.security,
  };
}

/**
 * Returns this machine's settings for downloads by apt (proxies, checks of dates, retries), each as a line of
 * apt.conf.
 */
export function fetchSettings(): readonly string[] {
  return run('apt-config', ['dump'])
    .split('\n')
    .filter((line) => /^Acquire::(https?::|Check-|Retries|ForceIPv)/.test(line));
}
