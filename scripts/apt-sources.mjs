// Where this machine's apt gets Debian from, for a root file system of another release.
import { run } from './image-packages.mjs';

/** Where Debian is when this machine's lists do not say. */
const defaults = {
  main: 'http://deb.debian.org/debian/',
  security: 'http://deb.debian.org/debian-security/',
};

/** The lines of sources.list for a release: what this machine has for its own, with the release's name. */
export function sourcesFor(release, uris) {
  return [
    `deb ${uris.main} ${release} main`,
    `deb ${uris.main} ${release}-updates main`,
    `deb ${uris.security} ${release}-security main`,
  ];
}

/** This machine's addresses of Debian's archive and of its security fixes. */
export function mirrorUris() {
  const format = '$(LABEL)|$(REPO_URI)';
  return urisIn(run('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']));
}

/** The same of what `apt-get indextargets` printed. */
export function urisIn(printed) {
  const found = new Map(printed.split('\n').map((line) => line.split('|')));
  return {
    main: found.get('Debian') ?? defaults.main,
    security: found.get('Debian-Security') ?? defaults.security,
  };
}

/** This machine's settings of how apt fetches (proxies, dates), each a line of apt.conf. */
export function fetchSettings() {
  return run('apt-config', ['dump'])
    .split('\n')
    .filter((line) => /^Acquire::(https?::|Check-|Retries|ForceIPv)/.test(line));
}
