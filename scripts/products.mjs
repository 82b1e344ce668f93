// The products of this repository and their packages: directories, as package.json's `workspaces` lists them.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './bootstrap.mjs';

/** @type {readonly string[]} */
const workspaces = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).workspaces;

/**
 * The directories of products: each contains packages.
 *
 * @type {readonly string[]}
 */
export const products = workspaces.filter((each) => each.endsWith('/*')).map((each) => each.slice(0, -2));

/**
 * The directories of packages, such as `lib/ttrpc`, sorted.
 *
 * @type {readonly string[]}
 */
export const packageDirectories = products
  .flatMap((product) => readdirSync(join(root, product)).map((name) => `${product}/${name}`))
  .filter((directory) => existsSync(join(root, directory, 'package.json')))
  .sort();
