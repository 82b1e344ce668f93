/**
 * This program's version, shared by all packages; a test compares. It is a constant because a bundle has no
 * package.json beside it.
 */
export const version = '0.1.0';
