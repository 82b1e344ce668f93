/** This program's version. One for the whole workspace; a test compares. Not read from a file: a bundle has none beside it. */
export const version = '0.1.0';
