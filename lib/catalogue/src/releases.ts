/** The releases of Kata Containers from 2.0.0 on, oldest first, without pre-releases. Source: its git tags. */
export const releases = [
  '2.0.0',
  '2.0.1',
  '2.0.2',
  '2.0.3',
  '2.0.4',
  '2.1.0',
  '2.1.1',
  '2.2.0',
  '2.2.1',
  '2.2.2',
  '2.2.3',
  '2.3.0',
  '2.3.1',
  '2.3.2',
  '2.3.3',
  '2.4.0',
  '2.4.1',
  '2.4.2',
  '2.4.3',
  '2.5.0',
  '2.5.1',
  '2.5.2',
  '3.0.0',
  '3.0.1',
  '3.0.2',
  '3.1.0',
  '3.1.1',
  '3.1.2',
  '3.1.3',
  '3.2.0',
  '3.3.0',
  '3.4.0',
  '3.5.0',
  '3.6.0',
  '3.7.0',
  '3.8.0',
  '3.9.0',
  '3.10.0',
  '3.10.1',
  '3.11.0',
  '3.12.0',
  '3.13.0',
  '3.14.0',
  '3.15.0',
  '3.16.0',
  '3.17.0',
  '3.18.0',
  '3.19.0',
  '3.19.1',
  '3.20.0',
  '3.21.0',
  '3.22.0',
  '3.23.0',
  '3.24.0',
  '3.25.0',
  '3.26.0',
  '3.27.0',
  '3.28.0',
  '3.29.0',
  '3.30.0',
  '3.31.0',
  '3.32.0',
  '4.0.0',
  '4.1.0',
] as const;

/** A release of Kata Containers with all three numbers: `3.21.0`. */
export type Release = (typeof releases)[number];

const shape = /^(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})(?:\.(0|[1-9]\d{0,5}))?$/;

/**
 * Returns the release that `text` names, with all three numbers (`3.21` and `3.21.0` are both `3.21.0`), or `undefined`
 * when there is no such release.
 */
export function findRelease(text: string): Release | undefined {
  return releases.find((release) => release === text || release === `${text}.0`);
}

/**
 * Compares two releases: negative when `a` is earlier, positive when it is later, 0 when they are equal. A missing
 * patch number counts as 0. Numbers are compared as numbers: `3.9` is earlier than `3.21`.
 *
 * @throws RangeError when either is not of the form `3.21` or `3.21.0`.
 */
export function compareReleases(a: string, b: string): number {
  const left = numbersOf(a);
  const right = numbersOf(b);
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}

function numbersOf(release: string): readonly [number, number, number] {
  const match = shape.exec(release);
  if (match === null)
    throw new RangeError(`${JSON.stringify(release)} is not a release: write it as 3.21 or 3.21.0`);
  const [, major, minor, patch = '0'] = match;
  return [Number(major), Number(minor), Number(patch)];
}
