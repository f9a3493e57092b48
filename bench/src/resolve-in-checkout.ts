import type { ResolveHook } from 'node:module';
import { pathToFileURL } from 'node:url';
import { CHECKOUT } from './checkout.js';

const checkout = process.env[CHECKOUT];
const parentURL = checkout === undefined ? null : pathToFileURL(`${checkout}/bench/any.js`).href;

/** Every import of `@sagaz/…` and of `pg` is resolved as if the bench of that checkout had asked. */
export const resolve: ResolveHook = (specifier, context, next) =>
  parentURL !== null && (specifier.startsWith('@sagaz/') || specifier === 'pg')
    ? next(specifier, { ...context, parentURL })
    : next(specifier, context);
